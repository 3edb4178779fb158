"""The configurations of the recipe dcase2019_task4."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.core.config import read_config
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import resolve_model
from sedkit.objectives.registry import resolve_objective
from sedkit.training.settings import apply_budget, data_settings, training_settings

SYSTEMS = {
    "cnn9_weak": ("cnn9_avg", "clip_bce", "weak", "clip"),
    "cnn9_synthetic_clipwise": ("cnn9_avg", "clip_bce", "synthetic", "clip"),
    "cnn9_synthetic_framewise": ("cnn9_avg", "frame_bce", "synthetic", "frame"),
    "cnn5_weak": ("cnn5_avg", "clip_bce", "weak", "clip"),
    "cnn9_max_weak": ("cnn9_max", "clip_bce", "weak", "clip"),
    "cnn13_weak": ("cnn13_avg", "clip_bce", "weak", "clip"),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_systems(repository: Path, system: str) -> None:
    model, objective, name, target = SYSTEMS[system]
    raw = read_config(repository / f"recipes/dcase2019_task4/conf/{system}.yaml")
    assert raw["system"] == system
    published = apply_budget(raw, "published", [])
    training = training_settings(published["training"])
    assert (training.steps, training.batch_size, training.learning_rate, training.lr_every) == (5000, 32, 1e-3, 200)
    assert training.amsgrad
    frontend = frontend_from(raw["frontend"])
    assert (frontend.n_bins, frontend.frames_for(10.0), frontend.grid.frame_rate_hz) == (64, 640, 64.0)
    data = data_settings(raw["data"])
    assert {s.set for s in data.streams.values()} == {name}
    assert {s.target for s in data.streams.values()} == {target}
    assert [s.folds for s in (*data.streams.values(), *data.select.values())] == [["train"], ["select"]]
    assert resolve_objective(raw["objective"])["name"] == objective
    resolved = resolve_model(raw["model"])
    assert (resolved["name"], resolved["base_channels"]) == (model, 64)
    assert resolved["clipwise"] == ("frame_max" if target == "frame" else "feature_max")


@pytest.mark.parametrize("system", SYSTEMS)
def test_quick_is_a_fixed_number_of_steps_of_a_small_network(repository: Path, system: str) -> None:
    raw = read_config(repository / f"recipes/dcase2019_task4/conf/{system}.yaml")
    assert set(raw["budgets"]) == {"quick", "published"}, "the same network on every processor"
    quick = apply_budget(raw, "quick", [])
    training = training_settings(quick["training"])
    assert (training.steps, training.batch_size) == (400, 8)
    assert training.steps / training.lr_every == 25, "the decays of the published schedule"
    assert quick["model"]["base_channels"] == (24 if system == "cnn13_weak" else 32)
