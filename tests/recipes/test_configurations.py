"""The configurations of the recipes: what each system is, and what it changes of its base."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.cli._recipe import read_recipe
from sedkit.core.config import read_config, read_passes
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import build_model, resolve_model
from sedkit.objectives.registry import resolve_objective
from sedkit.training.checking import check_config
from sedkit.training.settings import data_settings
from tests.recipes.test_embedding_configurations import EMBEDDING_SYSTEMS
from tests.recipes.test_panns_configurations import PANNS_SYSTEMS
from tests.recipes.test_teacher_configurations import TEACHER_SYSTEMS

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
    path = repository / f"recipes/dcase2019_task4/conf/{system}.yaml"
    raw, published = read_config(path), read_config(path, budget="published")
    assert raw["system"] == system
    assert (published["training"]["steps"], published["training"]["batch_size"]) == (5000, 32)
    assert published["optimiser"] == {"name": "adam", "learning_rate": 1e-3, "amsgrad": True}
    # A decay every 200 of 5000 steps.
    assert published["schedule"] == {"name": "step", "factor": 0.9, "every": 200 / 5000}
    assert published["selection"] == {"name": "last"}
    frontend = frontend_from(raw["frontend"])
    assert (frontend.n_bins, frontend.frames_for(10.0), frontend.grid.frame_rate_hz) == (64, 640, 64.0)
    data = data_settings(raw["data"])
    assert {s.set for s in data.streams.values()} == {name}
    assert {s.labels.target for s in data.streams.values()} == {target}
    assert [s.folds for s in (*data.streams.values(), *data.select.values())] == [["train"], ["select"]]
    assert resolve_objective(raw["objective"])["name"] == objective
    resolved = resolve_model(raw["model"])
    assert (resolved["name"], resolved["base_channels"]) == (model, 64)
    assert resolved["clipwise"] == ("frame_max" if target == "frame" else "feature_max")


@pytest.mark.parametrize("system", SYSTEMS)
def test_quick_is_a_fixed_number_of_steps_of_a_small_network(repository: Path, system: str) -> None:
    path = repository / f"recipes/dcase2019_task4/conf/{system}.yaml"
    raw, quick = read_config(path), read_config(path, budget="quick")
    assert (quick["training"]["steps"], quick["training"]["batch_size"]) == (200, 8)
    assert quick["schedule"] == raw["schedule"], "the decays of the published schedule"
    assert quick["model"]["base_channels"] == (24 if system == "cnn13_weak" else 32)


def _flat(value: object, way: str = "") -> dict[str, object]:
    """Values by dotted key."""
    if not isinstance(value, dict) or not value:
        return {way: value}
    return {k: v for name, one in value.items() for k, v in _flat(one, f"{way}.{name}" if way else name).items()}


_STREAM, _SELECT = "data.streams.esc50", "data.select.esc50"
_SOUNDSCAPES: dict[str, object] = {
    "data.streams.synthetic.set": "target/synthetic",
    "data.streams.synthetic.folds": ["train"],
    "data.streams.synthetic.share": 0.34,
    "data.streams.synthetic.window.length_s": 1.0,
    "data.streams.synthetic.window.hop_s": 0.5,
    "data.streams.synthetic.labels.least_s": 0.1,
}


def _augmented(**steps: dict[str, object]) -> dict[str, object]:
    """What half of the windows go through, cut out of recordings."""
    keys = {f"{_STREAM}.source": "waveforms"}
    for step, options in steps.items():
        keys |= {f"{_STREAM}.augment.{step}.{name}": value for name, value in (options | {"probability": 0.5}).items()}
    return keys


_BACKGROUND = {"set": "target/synthetic", "snr_db": [0.0, 20.0]}
#: Of esc50_desed: what each system sets otherwise than `fixed`.
CHANGES: dict[str, dict[str, object]] = {
    "fixed": {},
    "noise": _augmented(noise={"snr_db": [5.0, 30.0]}),
    "pitch": _augmented(pitch={"semitones": [-2.0, -1.0, 1.0, 2.0]}),
    "speed": _augmented(speed={"factor": [0.85, 1.15]}),
    "level": _augmented(gain={"level_db": [-30.0, 0.0]}),
    "mixup": _augmented(mixup={"alpha": 0.4, "hard": True}),
    "background": _augmented(background=_BACKGROUND),
    "negatives": {f"{_STREAM}.labels.others": True},
    "more_classes": {f"{_STREAM}.labels.map": "esc50_desed_more", f"{_SELECT}.labels.map": "esc50_desed_more"},
    "synthetic": _SOUNDSCAPES,
    "combined": {
        f"{_STREAM}.labels.map": "esc50_desed_more",
        f"{_SELECT}.labels.map": "esc50_desed_more",
        f"{_STREAM}.labels.others": True,
        **_augmented(background=_BACKGROUND, noise={"snr_db": [10.0, 30.0]}),
        **_SOUNDSCAPES,
    },
    "cnn9_att": {"model.name": "cnn9_att", "model.base_channels": 32},
    "faithful": {
        "frontend.hop_samples": 512,
        "frontend.log": "none",
        "frontend.edges": "window",
        f"{_STREAM}.source": "waveforms",
        f"{_STREAM}.window.silence_db": 0.0,
        f"{_SELECT}.source": "waveforms",
        f"{_SELECT}.window.silence_db": 0.0,
        f"{_SELECT}.labels.others": False,
        "model.input_frames": 87,
        "normalise": {},
    },
}
#: What a system leaves out that `fixed` has.
LEFT_OUT = {"cnn9_att": {"model.input_frames"}, "faithful": {"normalise.zscore"}}


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
            "edges": "recording",
        },
        "data": {
            "streams": {
                "esc50": {
                    "set": "source/esc50",
                    "folds": ["1", "2", "3", "4"],
                    "window": {"length_s": 1.0, "hop_s": 0.1, "silence_db": 60.0},
                    "labels": {"target": "clip", "map": "esc50_desed", "others": False},
                }
            },
            "select": {
                "esc50": {
                    "set": "source/esc50",
                    "folds": ["5"],
                    "window": {"length_s": 1.0, "hop_s": 0.5, "silence_db": 60.0},
                    "labels": {"target": "clip", "map": "esc50_desed", "others": True},
                }
            },
        },
        "normalise": {"zscore": {}},
        "model": {"name": "resnet18", "input_frames": 100},
        "objective": {"name": "clip_bce"},
        "optimiser": {"name": "adam", "learning_rate": 0.001, "amsgrad": False},
        "schedule": {"name": "constant"},
        "selection": {"name": "best", "figures": {"esc50": "clip_map"}},
        "training": {"steps": 1500, "batch_size": 16, "eval_every": 250, "checkpoint_every": 250, "seed": 0},
    }


def test_budgets_of_fixed(repository: Path) -> None:
    path = repository / "recipes/esc50_desed/conf/fixed.yaml"
    quick, published = (read_config(path, budget=name) for name in ("quick", "published"))
    assert (quick["training"]["steps"], quick["model"]["base_channels"]) == (1500, 16)
    # 50 passes over the 8200 windows of the whole ESC-50.
    assert published["training"]["steps"] * published["training"]["batch_size"] == 50 * 8200
    assert "base_channels" not in published["model"], "all 64"


def test_thresholds_and_checkpoint_are_chosen_on_different_sets(repository: Path) -> None:
    """Of esc50_desed: neither set is reported, and no system trains on what its thresholds are tuned on."""
    recipe = read_recipe(repository / "recipes/esc50_desed/recipe.yaml")
    tuned = {(one.set, one.fold) for one in recipe.tuned}
    assert tuned == {("target/synthetic", "tune")}
    for system in CHANGES:
        data = read_config(repository / f"recipes/esc50_desed/conf/{system}.yaml")["data"]
        for part in ("streams", "select"):
            seen = {(stream["set"], fold) for stream in data[part].values() for fold in stream["folds"]}
            assert not seen & tuned and not {name for name, _ in seen} & set(recipe.predicted)


#: Of dcase2018_task4: block, clip probability, objective, steps and batch of the published schedule.
MIL_SYSTEMS = {
    "fsl": ("relu", "frame_max", {"name": "frame_bce", "padding": "count"}, 5500, 32),
    "att": ("relu", "attention", {"name": "clip_bce"}, 550, 32),
    "mil": ("relu", "frame_max", {"name": "mil", "padding": "count"}, 550, 32),
    "glu_mil": ("glu", "frame_max", {"name": "mil", "padding": "count"}, 550, 32),
    "glu_mil_cosine": ("glu", "frame_max", {"name": "mil", "padding": "count", "cosine": 0.1}, 550, 32),
    "baseline2018": ("relu", "frame_max", {"name": "frame_bce", "padding": "count"}, 11300, 128),
}


@pytest.mark.parametrize("system", MIL_SYSTEMS)
def test_systems_of_dcase2018_task4(repository: Path, system: str) -> None:
    block, clipwise, objective, steps, batch = MIL_SYSTEMS[system]
    path = repository / f"recipes/dcase2018_task4/conf/{system}.yaml"
    raw = read_config(path, budget="published")
    model = resolve_model(raw["model"])
    assert (model["name"], model["block"], model["clipwise"]) == ("crnn", block, clipwise)
    assert (model["channels"], model["pooling"]) == ((64, 64, 64), ((1, 4), (1, 4), (1, 4)))
    assert (model["units"], model["norm_momentum"]) == (64, 0.01)
    assert raw["objective"] == objective
    assert (raw["training"]["steps"], raw["training"]["batch_size"]) == (steps, batch)
    frontend, baseline = frontend_from(raw["frontend"]), system == "baseline2018"
    assert (frontend.n_bins, frontend.frames_for(10.0)) == (64, 500 if baseline else 431)
    first, tagging = read_config(path, budget="published", of_pass="tagging"), "crnn" if baseline else "tagging_cnn"
    assert (first["model"]["name"], first["objective"]) == (tagging, {"name": "clip_bce"})
    assert first["system"] == ("baseline2018" if baseline else "at_cnn")
    assert {s["set"] for s in raw["data"]["streams"].values()} == {"unlabel_in_domain" if baseline else "weak"}
    assert (raw["optimiser"]["name"], raw["optimiser"]["learning_rate"]) == (
        "rmsprop" if block == "glu" else "adam",
        1e-3,
    )


@pytest.mark.parametrize("budget", ["quick", "published"])
def test_systems_that_share_a_pass_have_it_alike(repository: Path, budget: str) -> None:
    """Else each of them would train it anew in the same folder."""
    for recipe in (repository / "recipes").glob("*/recipe.yaml"):
        shared: dict[tuple[str, str], object] = {}
        for path in sorted((recipe.parent / "conf").glob("*.yaml")):
            for name in read_passes(path) if path.stem != "base" else ():
                config = read_config(path, budget=budget, of_pass=name)
                compared = {key: value for key, value in config.items() if key != "decoding"}
                assert shared.setdefault((config["system"], name), compared) == compared, path
                check_config(path, [], budget, name)


#: Of mixtures: what is written otherwise than published, and how many parameters the published network has.
MIXTURE_SYSTEMS: dict[str, tuple[dict[str, object], list[str], int]] = {
    "gmp": ({"name": "segmentation_gmp"}, [], 587_593),
    "gap": ({"name": "segmentation_gap"}, [], 587_593),
    "gwrp": ({"name": "segmentation_gwrp", "r": 0.9998}, [], 587_593),
    # Not published: the body and a second convolution of 128 * 41 + 41.
    "attention": ({"name": "segmentation_attention"}, [], 587_593 + 5_289),
    "atrous": ({"name": "atrous_attention", "head": "sigmoid"}, ["model.head=log_softmax"], 1_047_570),
    # Encoder and attention.
    "two_step": (
        {"name": "two_step_attention", "decoder": "none", "input_frames": None},
        ["model.input_frames=311", "model.mask_padding=false"],
        1_183_177 + 202_384,
    ),
    "two_step_ae": (
        {"name": "two_step_attention", "decoder": "linear", "input_frames": None},
        ["model.decoder=published", "model.input_frames=311", "model.mask_padding=false"],
        1_967_366,
    ),
}


@pytest.mark.parametrize("system", MIXTURE_SYSTEMS)
def test_systems_of_mixtures(repository: Path, system: str) -> None:
    model, published, parameters = MIXTURE_SYSTEMS[system]
    path = repository / f"recipes/mixtures/conf/{system}.yaml"
    raw = read_config(path, budget="published")
    resolved = resolve_model(raw["model"])
    assert {key: resolved[key] for key in model} == model
    assert (resolved["time_pooling"], resolved["bin_pooling"]) == (1, 1)
    check_config(path, published, "published")
    network = build_model(read_config(path, published, "published")["model"], 41, 64)
    assert sum(p.numel() for p in network.parameters()) == parameters
    objective = {"name": "clip_reconstruction", "alpha": 0.001} if system == "two_step_ae" else {"name": "clip_bce"}
    assert raw["objective"] == objective
    frontend = frontend_from(raw["frontend"])
    assert (frontend.n_bins, frontend.frames_for(10.0), frontend.grid.frame_rate_hz) == (64, 311, 31.25)
    assert raw["optimiser"] == {"name": "adam", "learning_rate": 1e-3, "amsgrad": False}
    assert (raw["training"]["steps"], raw["training"]["batch_size"]) == (10000, 24)
    # A decay every 200 of 10000 steps, down to 5.15e-6.
    assert raw["schedule"] == {"name": "step", "factor": 0.9, "every": 200 / 10000}
    assert (raw["selection"], raw["data"]["held_out"]) == ({"name": "last"}, "1")
    mixed = {"events": "events/verified", "scenes": "scenes/scenes", "mixtures": 2000, "placement": "slots"}
    assert raw["mix"] == mixed
    assert data_settings(raw["data"]).streams["mix"].folds == ["train"]


@pytest.mark.parametrize("recipe", ["dcase2018_task4", "dcase2019_task4", "dcase2024_task4", "esc50_desed", "mixtures"])
@pytest.mark.parametrize("budget", ["quick", "published"])
def test_every_system_is_named_as_its_file_and_holds_in_every_section(
    repository: Path, recipe: str, budget: str
) -> None:
    conf = repository / "recipes" / recipe / "conf"
    bases = sorted(path for path in conf.glob("*.yaml") if path.stem.split("_")[0] == "base")
    systems = sorted({path.stem for path in conf.glob("*.yaml")} - {path.stem for path in bases})
    known = {
        "dcase2018_task4": MIL_SYSTEMS,
        "dcase2019_task4": [*SYSTEMS, *TEACHER_SYSTEMS, *PANNS_SYSTEMS, *EMBEDDING_SYSTEMS],
        "dcase2024_task4": {"crnn_2024", "crnn_2024_faithful", "crnn_2024_plain"},
        "esc50_desed": [*CHANGES, *PANNS_SYSTEMS],
        "mixtures": MIXTURE_SYSTEMS,
    }
    assert systems == sorted(known[recipe])
    for system in systems:
        path = conf / f"{system}.yaml"
        raw = read_config(path)
        assert (raw["recipe"], raw["system"]) == (recipe, system)
        # Published weights are files that nobody has by himself.
        files = {"embeddings.beats.weights=random": "embeddings", "training.weights=null": "training"}
        check_config(path, [override for override, section in files.items() if section in raw], budget)
    assert not any("system" in read_config(path) for path in bases), "a base is no system"
