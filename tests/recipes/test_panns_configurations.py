"""The PANNs of the recipes: what they read, what they start from, and what is said where that file is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sedkit.core.config import read_config
from sedkit.core.errors import UsageError
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import build_model
from sedkit.models.sizes import PANNS
from sedkit.training.checking import check_config
from sedkit.training.groups import parameter_groups
from sedkit.training.optimisers import resolve_optimiser

#: Their classifiers, which are fresh.
PANNS_SYSTEMS = {"panns_cnn14": "fc_audioset", "panns_cnn14_att": "att_block"}
#: Network, file and parameters: those that the authors count with 527 classes, less what 10 or 5 classes save.
CASES = {
    ("esc50_desed", "panns_cnn14"): ("cnn14", "Cnn14_mAP=0.431.pth", 80_753_615 - 522 * 2049),
    ("esc50_desed", "panns_cnn14_att"): (
        "cnn14_decision_level_att",
        "Cnn14_DecisionLevelAtt_mAP=0.425.pth",
        81_834_492 - 522 * (2 * 2049 + 2),
    ),
    ("dcase2019_task4", "panns_cnn14"): (
        "cnn14_decision_level_max",
        "Cnn14_DecisionLevelMax_mAP=0.385.pth",
        80_753_615 - 517 * 2049,
    ),
    ("dcase2019_task4", "panns_cnn14_att"): (
        "cnn14_decision_level_att",
        "Cnn14_DecisionLevelAtt_mAP=0.425.pth",
        81_834_492 - 517 * (2 * 2049 + 2),
    ),
}


@pytest.mark.parametrize(("recipe", "system"), CASES)
def test_a_pann_is_the_published_network_on_its_own_spectrogram(repository: Path, recipe: str, system: str) -> None:
    name, file, parameters = CASES[recipe, system]
    raw = read_config(repository / f"recipes/{recipe}/conf/{system}.yaml", budget="published")
    assert (raw["model"], raw["training"]["weights"]) == ({"name": name}, file)
    # What the authors' network reads (`sedkit.models.sizes`), but for the length of clips, which is the recipe's.
    frontend, published = frontend_from(raw["frontend"]), frontend_from(PANNS[name].frontend)
    kept = {"clip_s", "end_frame"}
    assert {key: value for key, value in frontend.as_dict().items() if key not in kept} == {
        key: value for key, value in published.as_dict().items() if key not in kept
    }
    assert not raw["normalise"], "the network normalises by itself"
    assert frontend.frames_for(10.0) == (1001 if recipe == "dcase2019_task4" else 1000)
    with torch.device("meta"):
        network = build_model(raw["model"], 5 if recipe == "esc50_desed" else 10, frontend.n_bins)
    assert sum(p.numel() for p in network.parameters()) == parameters
    # The classifier, and nothing else, learns at 0.001.
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in parameter_groups(resolve_optimiser(raw["optimiser"]), network):
        fresh = {names[id(p)].startswith(PANNS_SYSTEMS[system]) for p in group["params"]}
        assert fresh == {group["lr"] == pytest.approx(1e-3)} and (fresh == {True} or group["lr"] == 1e-4)


@pytest.mark.parametrize(("recipe", "system"), CASES)
def test_a_pann_says_which_file_it_needs(repository: Path, tmp_path: Path, recipe: str, system: str) -> None:
    path = repository / f"recipes/{recipe}/conf/{system}.yaml"
    with pytest.raises(UsageError) as refused:
        check_config(path, [], "published")
    assert CASES[recipe, system][1] in str(refused.value) and "--weights" in str(refused.value)
    weights = tmp_path / "mine=1.pth"
    weights.write_bytes(b"")
    check_config(path, [], "published", weights=str(weights))
    # Nobody's file is needed to see that everything works.
    check_config(path, [], "quick")
    quick = read_config(path, budget="quick")
    assert (quick["training"]["weights"], quick["model"]["base_channels"]) == (None, 8)
