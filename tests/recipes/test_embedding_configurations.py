"""The official baselines with embeddings: what their configurations say, and that they need a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sedkit.core.config import read_config
from sedkit.core.errors import UsageError
from sedkit.models.registry import build_model
from sedkit.objectives.schedules import build_schedule
from sedkit.training.checking import check_config


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


@pytest.mark.parametrize("system", ["crnn_2024", "crnn_2023"])
def test_without_the_file_the_published_budget_says_so(repository: Path, system: str) -> None:
    recipe = "dcase2024_task4" if system == "crnn_2024" else "dcase2019_task4"
    with pytest.raises(UsageError, match="BEATs_iter3_plus_AS2M.pt: no such file, expected the weights of beats"):
        check_config(repository / f"recipes/{recipe}/conf/{system}.yaml", [], "published")
