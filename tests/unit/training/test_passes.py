"""A system of two passes by hand: the first tags clips, and its tags are what the second learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_data import LABELS, write_config

from sedkit.cli.main import main
from sedkit.core.stamp import facts_of
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import read_scores
from sedkit.dataio.tables import read_weak
from sedkit.models.checkpoint import read_checkpoint
from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan

PSEUDO = {"pseudo": {"set": "synthetic", "labels": {"target": "tiled", "source": "{first}/tags/synthetic.tsv"}}}
FIRST = {
    "data": {"streams": {"pseudo": None, "weak": {"set": "weak"}}},
    "objective": {"base": None, "name": "clip_bce"},
}


@pytest.fixture
def config(tmp_path: Path) -> str:
    changes = {
        "data": {"streams": PSEUDO, "select": {"weak": {"set": "weak", "folds": ["select"]}}},
        "objective": {"name": "frame_bce"},
        "passes": {"first": FIRST},
    }
    return str(write_config(tmp_path / "c.yaml", training__steps=4, training__eval_every=4, **changes))


def test_tags_of_the_first_pass_are_labels_of_the_second(config: str, data_root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "exp/crnn.first/seed0", tmp_path / "exp/crnn/seed0"
    common = ["--config", config, "--data", str(data_root)]
    assert main(["train", *common, "--exp", str(first), "--pass", "first"]) == 0
    scores, tags = first / "scores/synthetic.h5", first / "tags/synthetic.tsv"
    assert main(["predict", str(first), str(data_root / "synthetic"), "--out", str(scores)]) == 0
    clipwise = read_scores(scores).clipwise
    threshold = str(round(float(np.median(clipwise)), 3))
    assert main(["tag", str(scores), "--postprocessing", threshold, "--out", str(tags)]) == 0
    expected = clipwise > float(threshold)
    assert 0 < expected.sum() < expected.size
    assert (read_weak(tags, LABELS).present == expected).all()

    assert main(["train", *common, "--exp", str(second)]) == 0
    saw = read_checkpoint(second / "checkpoints/best.pt").run["saw"]
    assert saw["trained"] == [["fake/synthetic", "train"], ["fake/weak", "train"]]
    # Labels of the clips that are trained on, on each of their frames.
    experiment = Experiment(make_plan(Path(config), [], data_root, second))
    stream = experiment.streams["pseudo"]
    target = stream.read(np.arange(len(stream))).frame_target
    folds = np.array(DataDir(data_root / "synthetic").clips.fold)
    assert target is not None
    assert (target.numpy() == expected[folds == "train"][:, None]).all()
    # What is scored next tells of both passes.
    out = second / "scores/weak.h5"
    assert main(["predict", str(second), str(data_root / "weak"), "--fold", "select", "--out", str(out)]) == 0
    assert facts_of(out)["saw"]["trained"] == saw["trained"]


def test_other_tags_make_it_another_run(config: str, data_root: Path, tmp_path: Path) -> None:
    exp, tags = tmp_path / "exp/crnn/seed0", tmp_path / "exp/crnn.first/seed0/tags/synthetic.tsv"
    tags.parent.mkdir(parents=True)
    names = DataDir(data_root / "synthetic").clips.filename
    keys = []
    for label in ("Cat", "Cat", "Dog"):
        # Made by anyone: no stamp beside it.
        tags.write_text("filename\tevent_labels\n" + "".join(f"{name}\t{label}\n" for name in names))
        keys.append(make_plan(Path(config), [], data_root, exp).key)
    assert keys[0] == keys[1] != keys[2]


def test_tags_that_are_not_there_yet_are_one_line(
    config: str, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["train", "--config", config, "--data", str(data_root), "--exp", str(tmp_path / "exp/crnn/seed0")]
    assert main(call) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "exp/crnn.first/seed0/tags/synthetic.tsv" in line and "no such" in line and "sedkit tag" in line
