"""Systems on transformers: what their configurations say, and that they need a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedkit.core.config import read_config
from sedkit.core.errors import UsageError
from sedkit.embeddings.atst_frame import AtstFrameFrontEnd
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import build_model
from sedkit.objectives.schedules import build_schedule
from sedkit.training.checking import check_config
from sedkit.training.groups import parameter_groups
from sedkit.training.optimisers import resolve_optimiser

#: Of dcase2019_task4.
EMBEDDING_SYSTEMS = ("atst_frame", "crnn_2023", "crnn_2023_faithful")


def test_the_baselines_with_embeddings_are_as_published(repository: Path) -> None:
    """DCASE-REPO/DESED_task: sizes, streams and schedules of 2023 and 2024."""
    for recipe, system, units, classes, steps in (
        ("dcase2019_task4", "crnn_2023", 128, 10, 23600),
        ("dcase2024_task4", "crnn_2024", 192, 27, 300 * 118),
    ):
        raw = read_config(repository / f"recipes/{recipe}/conf/{system}.yaml")
        network = build_model(raw["model"], classes, 128)
        assert (raw["model"]["units"], raw["training"]["steps"]) == (units, steps)
        assert network.embeddings == {"beats": 768} and raw["embeddings"]["beats"]["tokens"] == "published"
        assert sum(p.numel() for p in network.parameters()) == {10: 1_227_236, 27: 1_785_094}[classes]
    shares = {name: stream["share"] for name, stream in raw["data"]["streams"].items()}
    assert shares == {"scenes": 12, "synthetic": 10, "real": 2, "weak": 12, "unlabelled": 24}
    assert (raw["training"]["batch_size"], raw["training"]["clip_norm"]) == (60, 5.0)
    schedule = build_schedule(raw["schedule"])
    rates = [schedule(epoch / 300) for epoch in (0, 25, 50, 100, 200, 300)]
    assert rates == pytest.approx([math.exp(-5), math.exp(-1.25), 1, 1, math.cos(math.pi / 4), 1e-5], abs=1e-5)
    assert "scenes" not in raw["objective"]["agreeing"]


def changes(one: Any, other: Any, way: str = "") -> dict[str, Any]:
    """What `other` has otherwise than `one`, by dotted key."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return {} if one == other else {way: other}
    keys = {key: f"{way}.{key}".lstrip(".") for key in (*one, *other)}
    return {k: v for key, name in keys.items() for k, v in changes(one.get(key), other.get(key), name).items()}


def test_faithful_systems_have_the_oddities_of_the_published_code_and_no_more(repository: Path) -> None:
    counted = {"model.mask_padding": False, "objective.padding": "count"}
    for recipe, system, streams, how in (
        ("dcase2019_task4", "crnn_2023", ("weak", "synthetic", "validation"), "kept"),
        ("dcase2024_task4", "crnn_2024", ("scenes", "synthetic", "real", "weak"), "apart"),
    ):
        one, other = (
            read_config(repository / f"recipes/{recipe}/conf/{system}{end}.yaml", budget="published")
            for end in ("", "_faithful")
        )
        expected: dict[str, Any] = {"system": f"{system}_faithful"} | counted
        for stream in streams:
            mixup = f"data.streams.{stream}.augment.mixup"
            expected |= {f"{mixup}.draw": "batch", f"{mixup}.embeddings": how}
        if how == "apart":
            expected |= {f"data.{side}.scenes.labels.overlaps": "last" for side in ("streams", "select")}
            expected["data.streams.weak.augment.mixup.hard"] = True
        assert changes(one, other) == expected


def test_atst_frame_reads_what_it_was_trained_on(repository: Path, tmp_path: Path) -> None:
    path = repository / "recipes/dcase2019_task4/conf/atst_frame.yaml"
    raw = read_config(path, budget="published")
    theirs = AtstFrameFrontEnd(weights="random")
    assert frontend_from(raw["frontend"] | {"clip_s": None}) == theirs.spectrum
    for stage, options in theirs.normalise.items():
        assert raw["normalise"][stage] == pytest.approx(options, abs=1e-4)
    with torch.device("meta"):
        network = build_model(raw["model"], 10, 64)
    # ATST-Frame, and two layers of 10 classes; 250 frames of 40 ms.
    assert sum(p.numel() for p in network.parameters()) == 85_419_264 + 2 * 10 * 769
    assert 1001 // network.time_pooling == 250 and network.most_frames >= 1001
    rates = {group["lr"] for group in parameter_groups(resolve_optimiser(raw["optimiser"]), network)}
    assert sorted(rates) == pytest.approx([*(1e-4 * 0.95**i for i in range(12, 0, -1)), 1e-3])
    with pytest.raises(UsageError, match=r"ATST-F_strong_1.pt: no such file .*--weights"):
        check_config(path, [], "published")
    (tmp_path / "mine.pt").touch()
    check_config(path, [], "published", weights=str(tmp_path / "mine.pt"))
    check_config(path, [], "quick")


def test_the_example_of_the_page_is_that_system(repository: Path) -> None:
    raw = read_config(repository / "recipes/dcase2019_task4/conf/atst_frame.yaml", budget="published")
    text = (repository / "docs/pretrained.md").read_text(encoding="utf-8").partition("### Heads on pretrained")[2]
    page = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert frontend_from(page["frontend"]) == frontend_from(raw["frontend"])
    assert page["normalise"] == {stage: options for stage, options in raw["normalise"].items() if options}
    assert (page["model"], page["training"]["weights"]) == (raw["model"], raw["training"]["weights"])
    assert page["optimiser"].items() <= raw["optimiser"].items()


@pytest.mark.parametrize("system", ["crnn_2024", "crnn_2023", "crnn_2024_faithful", "crnn_2023_faithful"])
def test_without_the_file_the_published_budget_says_so(repository: Path, system: str) -> None:
    recipe = "dcase2024_task4" if "2024" in system else "dcase2019_task4"
    with pytest.raises(UsageError, match="BEATs_iter3_plus_AS2M.pt: no such file, expected the weights of beats"):
        check_config(repository / f"recipes/{recipe}/conf/{system}.yaml", [], "published")
