"""A transformer trained further: from a file of its authors' layout to a checkpoint that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import BINS
from torch import Tensor
from training_runs import records, train

from sedkit.cli.main import main
from sedkit.core.errors import UsageError
from sedkit.dataio.store import read_scores
from sedkit.models.atst_frame import AtstFrame
from sedkit.models.checkpoint import read_checkpoint
from sedkit.models.sizes import AtstFrameOptions

BODY: dict[str, Any] = {"name": "atst_frame", "bins": BINS, "layers": 3, "width": 8, "heads": 2, "hidden": 12}
STRONG: dict[str, Any] = {"set": "synthetic", "labels": {"target": "frame"}}
DATA: dict[str, Any] = {
    "streams": {"weak": {"set": "weak"}, "synthetic": STRONG},
    "select": {"weak": {"set": "weak", "folds": ["select"]}, "synthetic": STRONG | {"folds": ["select"]}},
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    body = AtstFrame(AtstFrameOptions(**{key: value for key, value in BODY.items() if key != "name"}))
    state = {f"model.atst.{key}": value for key, value in body.state_dict().items()}
    heads = {"strong_head.weight": torch.ones(447, 8), "strong_head.bias": torch.ones(447)}
    torch.save(state | heads, tmp_path / "ATST-F_strong_1.pt")
    return tmp_path / "ATST-F_strong_1.pt"


def fine_tuned(data_root: Path, folder: Path, weights: Path, **changes: Any) -> Any:
    return train(
        data_root,
        folder,
        f"training.weights={weights}",
        **{
            "data": DATA,
            "model": {"name": "pretrained_sed", "body": BODY, "clipwise": "class_attention"},
            "objective": {"name": "weak_strong_bce"},
            "optimiser": {
                "name": "sgd",
                "learning_rate": 0.5,
                "layer_decay": 0.5,
                "groups": {"*_head.*": {"factor": 2.0}},
            },
            "training__freeze": ["body.pos_embed", "body.patch_embed.*", "body.blocks.0.*"],
            "training__steps": 4,
            "training__accumulate": 2,
            **changes,
        },
    )


def test_atst_frame_is_trained_further(data_root: Path, tmp_path: Path, weights: Path) -> None:
    given: dict[str, Tensor] = torch.load(weights, weights_only=True)
    experiment = fine_tuned(data_root, tmp_path / "exp", weights)
    path = tmp_path / "exp" / "checkpoints" / "best.pt"
    state = read_checkpoint(path).network().state_dict()
    frozen = ("pos_embed", "patch_embed.", "blocks.0.", "mask_embed")
    for key, value in given.items():
        if key.startswith("model.atst."):
            name = key.removeprefix("model.atst.")
            assert torch.equal(state[f"body.{name}"], value) is name.startswith(frozen), name
    assert state["strong_head.weight"].shape == (3, 8)
    # Heads, blocks 2 and 1; of the first layer what nothing reads is left.
    rates = np.unique([group["lr"] for group in experiment.loop.optimiser.param_groups])
    np.testing.assert_allclose(rates / rates[-1], [1 / 16, 1 / 8, 1 / 4, 1])
    assert all(np.isfinite(record["loss"]) for record in records(tmp_path / "exp") if "loss" in record)
    call = ["predict", str(tmp_path / "exp"), str(data_root / "validation"), "--out", str(tmp_path / "scores.h5")]
    assert main([*call, "--device", "cpu", "--precision", "fp32"]) == 0
    scores = read_scores(tmp_path / "scores.h5")
    # 64 frames of a 32nd of a second are 16 steps of four.
    assert scores.framewise.shape == (20, 16, 3) and np.diff(scores.frame_edges_s) == pytest.approx(0.125)


def test_a_group_that_matches_nothing_of_it(data_root: Path, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(UsageError, match=r"'predictor\.\*' matches no parameter of the network, .*weak_head"):
        fine_tuned(data_root, tmp_path / "exp", weights, optimiser__groups={"predictor.*": {"factor": 2.0}})


def test_windows_beyond_the_positions_are_told(data_root: Path, tmp_path: Path, weights: Path) -> None:
    fine_tuned(data_root, tmp_path / "exp", weights, training__steps=1)
    call = ["predict", str(tmp_path / "exp"), str(data_root / "validation"), "--out", str(tmp_path / "scores.h5")]
    assert main([*call, "--window", "40"]) == 2
