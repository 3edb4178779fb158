"""The configurations of the recipe dcase2019_task4."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.core.config import read_config
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import resolve_model
from sedkit.objectives.registry import resolve_objective
from sedkit.training.plan import check_config
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


def _flat(value: object, way: str = "") -> dict[str, object]:
    """Values by dotted key."""
    if not isinstance(value, dict):
        return {way: value}
    return {k: v for name, one in value.items() for k, v in _flat(one, f"{way}.{name}" if way else name).items()}


_CHUNKS = "data.streams.esc50.chunks"
_AUGMENT = f"{_CHUNKS}.augment"
_SELECT = "data.select.esc50.chunks"
_SOUNDSCAPES = {
    "data.streams.synthetic.set": "target/synthetic",
    "data.streams.synthetic.share": 0.34,
    "data.streams.synthetic.chunks.hop_s": 0.5,
    "data.streams.synthetic.chunks.least_s": 0.1,
    "data.streams.synthetic.chunks.silence_db": 0.0,
}
#: Of esc50_desed: what each system sets otherwise than `fixed`.
CHANGES: dict[str, dict[str, object]] = {
    "fixed": {},
    "noise": {f"{_AUGMENT}.probability": 0.5, f"{_AUGMENT}.noise_snr_db": [5.0, 30.0]},
    "pitch": {f"{_AUGMENT}.probability": 0.5, f"{_AUGMENT}.pitch_semitones": [-2.0, -1.0, 1.0, 2.0]},
    "speed": {f"{_AUGMENT}.probability": 0.5, f"{_AUGMENT}.speed": [0.85, 1.15]},
    "level": {f"{_AUGMENT}.probability": 0.5, f"{_AUGMENT}.gain_db": [-30.0, 0.0]},
    "mixup": {f"{_AUGMENT}.probability": 0.5, f"{_AUGMENT}.mixup_alpha": 0.4, f"{_AUGMENT}.mixup_hard": True},
    "background": {
        f"{_AUGMENT}.probability": 0.5,
        f"{_AUGMENT}.background_set": "target/synthetic",
        f"{_AUGMENT}.background_snr_db": [0.0, 20.0],
    },
    "negatives": {f"{_CHUNKS}.others": True},
    "more_classes": {f"{_CHUNKS}.class_map": "esc50_desed_more", f"{_SELECT}.class_map": "esc50_desed_more"},
    "synthetic": _SOUNDSCAPES,
    "combined": {
        f"{_CHUNKS}.class_map": "esc50_desed_more",
        f"{_SELECT}.class_map": "esc50_desed_more",
        f"{_CHUNKS}.others": True,
        f"{_AUGMENT}.probability": 0.5,
        f"{_AUGMENT}.noise_snr_db": [10.0, 30.0],
        f"{_AUGMENT}.background_set": "target/synthetic",
        f"{_AUGMENT}.background_snr_db": [0.0, 20.0],
    }
    | _SOUNDSCAPES,
    "cnn9_att": {"model.name": "cnn9_att", "model.base_channels": 32},
    "faithful": {
        "frontend.name": "melpower",
        "frontend.hop_samples": 512,
        "frontend.chunk_s": 1.0,
        "frontend.chunk_hop_s": 0.1,
        f"{_CHUNKS}.silence_db": 0.0,
        f"{_SELECT}.silence_db": 0.0,
        "model.chunk_frames": 87,
        "training.scaler": "none",
    },
}
#: What a system leaves out that `fixed` has.
_LOG = (
    "window",
    "window_symmetric",
    "centre",
    "pad_mode",
    "spectrum",
    "mel_scale",
    "mel_norm",
    "log",
    "floor",
    "clip_s",
)
LEFT_OUT = {"cnn9_att": {"model.chunk_frames"}, "faithful": {f"{_SELECT}.others", *(f"frontend.{key}" for key in _LOG)}}


@pytest.mark.parametrize("system", CHANGES)
def test_systems_of_esc50_desed_change_what_they_say_and_no_more(repository: Path, system: str) -> None:
    conf = repository / "recipes/esc50_desed/conf"
    fixed, mine = _flat(read_config(conf / "fixed.yaml")), _flat(read_config(conf / f"{system}.yaml"))
    assert {key: value for key, value in mine.items() if key not in fixed or fixed[key] != value} == {
        **CHANGES[system],
        **({} if system == "fixed" else {"system": system}),
    }
    assert set(fixed) - set(mine) == LEFT_OUT.get(system, set())


def test_fixed_in_full(repository: Path) -> None:
    """The configuration in whole, as it stood in one file before there were bases."""
    assert read_config(repository / "recipes/esc50_desed/conf/fixed.yaml") == {
        "recipe": "esc50_desed",
        "system": "fixed",
        "frontend": {
            "name": "logmel",
            "sample_rate": 44100,
            "n_fft": 2048,
            "hop_samples": 441,
            "window": "hann",
            "window_symmetric": False,
            "centre": True,
            "pad_mode": "reflect",
            "spectrum": "power",
            "n_mels": 128,
            "fmin_hz": 0.0,
            "fmax_hz": None,
            "mel_scale": "slaney",
            "mel_norm": "slaney",
            "log": "db",
            "floor": 1e-10,
            "clip_s": None,
        },
        "data": {
            "streams": {
                "esc50": {
                    "set": "source/esc50",
                    "folds": ["1", "2", "3", "4"],
                    "chunks": {"class_map": "esc50_desed", "hop_s": 0.1, "silence_db": 60.0},
                }
            },
            "select": {
                "esc50": {
                    "set": "source/esc50",
                    "folds": ["5"],
                    "chunks": {"class_map": "esc50_desed", "others": True, "hop_s": 0.5, "silence_db": 60.0},
                }
            },
        },
        "model": {"name": "resnet18", "chunk_frames": 100},
        "objective": {"name": "clip_bce"},
        "training": {
            "steps": 500,
            "batch_size": 16,
            "learning_rate": 0.001,
            "lr_every": 0,
            "amsgrad": False,
            "eval_every": 100,
            "checkpoint_every": 100,
            "select_by": "clip_map",
            "seed": 0,
        },
        "budgets": {
            "quick": {"training.steps": 200},
            "published": {"training.steps": 25625, "training.eval_every": 512, "training.checkpoint_every": 512},
        },
    }


@pytest.mark.parametrize("recipe", ["dcase2019_task4", "esc50_desed"])
@pytest.mark.parametrize("budget", ["quick", "published"])
def test_every_system_is_named_as_its_file_and_holds_in_every_section(
    repository: Path, recipe: str, budget: str
) -> None:
    conf = repository / "recipes" / recipe / "conf"
    systems = sorted({path.stem for path in conf.glob("*.yaml")} - {"base"})
    assert systems == sorted(SYSTEMS if recipe == "dcase2019_task4" else CHANGES)
    for system in systems:
        path = conf / f"{system}.yaml"
        raw = read_config(path)
        assert (raw["recipe"], raw["system"]) == (recipe, system)
        check_config(path, [], budget)
    assert "system" not in read_config(conf / "base.yaml"), "a base is no system"
