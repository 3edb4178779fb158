"""The parsers that read what anyone may hand in, each with inputs that are nearly right."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from sedkit.cli._recipe import read_recipe
from sedkit.core.config import read_config
from sedkit.core.files import read_json, read_yaml, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import audio_info, read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.score_tsvs import read_score_tsvs
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import FeatureFile, read_scores, write_features, write_scores
from sedkit.dataio.tables import read_durations, read_filenames, read_weak
from sedkit.evaluation.reading import read_reference, read_truth
from sedkit.evaluation.results_file import read_results
from sedkit.features.frontends import frontend_from
from sedkit.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model
from sedkit.postprocessing.presets import read_postprocessing
from sedkit.submission.authors import read_authors
from sedkit.submission.check import check_package
from sedkit.submission.formats import get_format
from sedkit.synthesis.plan_file import read_plan
from sedkit.training.settings import data_settings
from tests.full.fuzz import binaries, texts
from tests.full.fuzz.texts import Bytes
from tests.unit.results_files import results
from tests.unit.submission.submission_packages import CLIP_LIST, PEOPLE, correct

Files = dict[str, Bytes]


class Target(NamedTuple):
    """A parser.

    Attributes
    ----------
    files
        Draws what is put into the folder that it is given, by name.
    call
        Reads it.
    modules
        Whose branches are counted.
    share
        Of all inputs, relative to others: some take a hundred times as long.
    """

    files: st.SearchStrategy[Files]
    call: Callable[[Path], Any]
    modules: tuple[str, ...]
    share: float = 1.0


def named(**strategies: st.SearchStrategy[Bytes]) -> st.SearchStrategy[Files]:
    """Draw files; `clips__tsv` is clips.tsv."""
    return st.fixed_dictionaries({name.replace("__", "."): value for name, value in strategies.items()})


name, label = st.sampled_from(texts.NAMES), st.sampled_from(texts.LABELS)
second, duration = texts.numbers("0", "1.5", "10"), texts.numbers("10", "10.0", "3.2")
STRONG = texts.tables(("filename", "onset", "offset", "event_label"), (name, second, second, label))
WEAK = texts.tables(("filename", "event_labels"), (name, label))
CLIPS = texts.tables(
    ("filename", "audio", "duration", "fold", "group"),
    (name, name, duration, st.sampled_from(("train", "tune")), label),
)
LABEL_LINES = st.lists(label, max_size=4).map(lambda lines: Bytes("\n".join(lines).encode(), bool(lines)))
SCORES = texts.tables(("onset", "offset", "Cat", "Dog"), [texts.numbers("0.5")] * 4, counted=(0, 1))


#: What `sedkit detect --format json` writes.
DETECTIONS = {
    "sedkit": "0.1.0",
    "labels": ["Cat", "Dog"],
    "recordings": [
        {"filename": "a.wav", "duration_s": 10.0, "events": [{"onset_s": 0.5, "offset_s": 1.5, "label": "Cat"}]},
        {"filename": "b.wav", "duration_s": 3.0, "events": []},
    ],
}


def read_all(folder: Path) -> None:
    """Read a data dir, each of its tables that is there."""
    data = DataDir(folder)
    for name, part in (("clips", data.clips), ("labels", data.labels), ("weak", data.weak), ("strong", data.strong)):
        if name in ("clips", "labels") or (folder / f"{name}.tsv").exists():
            part() if callable(part) else part


@functools.cache
def scores_file() -> bytes:
    """Return a scores file of two clips."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.h5"
        rng = np.random.default_rng(0)
        frames = rng.random((2, 5, 2)).astype(np.float32)
        edges = np.linspace(0.0, 10.0, 6)
        names = ("a.wav", "b.wav")
        write_scores(
            path,
            Scores(frames, np.array([5, 4]), np.array([10.0, 8.0]), edges, names, ("Cat", "Dog"), frames.max(axis=1)),
        )
        return path.read_bytes()


FRONTEND = {"name": "logmel", "sample_rate": 16000, "n_fft": 512, "hop_samples": 500, "n_mels": 8, "fmax_hz": 7000.0}


@functools.cache
def features_file() -> bytes:
    """Return a features file of two clips."""
    with tempfile.TemporaryDirectory() as folder:
        path, frontend = Path(folder) / "features.h5", frontend_from({**FRONTEND, "clip_s": 1.0})
        write_features(
            path,
            ("a.wav", "b.wav"),
            np.zeros((2, 32, 8), np.float32),
            np.array([32, 20]),
            frontend=frontend.as_dict(),
            frontend_hash=frontend.hash8,
            scale=frontend.scale,
            sample_rate=frontend.sample_rate,
            hop_samples=500,
        )
        return path.read_bytes()


@functools.cache
def checkpoint_file() -> bytes:
    """Return a checkpoint of a small network."""
    options, labels = {"name": "cnn9_avg", "base_channels": 1}, Vocabulary(("Cat", "Dog"))
    frontend, network = frontend_from({**FRONTEND, "clip_s": 1.0}), build_model(options, 2, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.pt"
        state = {"network": network.state_dict()}
        about = (resolve_model(options), labels, frontend.as_dict(), frontend.hash8, 32, {}, {}, state)
        write_checkpoint(path, Checkpoint(*about))
        return path.read_bytes()


@functools.cache
def members(form: str) -> Mapping[str, bytes]:
    """Return a correct package of a year."""
    return correct(form)


def read_features(folder: Path) -> None:
    """Open a features file and read a clip."""
    file = FeatureFile(folder / "features.h5")
    np.asarray(file.features[:1])


def read_sound(folder: Path) -> None:
    """Read the header of a recording, then its samples."""
    audio_info(folder / "a.wav")
    read_audio(folder / "a.wav", 16000)


def read_system(folder: Path) -> None:
    """Read a configuration and its section `data`."""
    config = read_config(folder / "c.yaml", (), "quick")
    if isinstance(config.get("data"), dict):
        data_settings(config["data"])
    if config.get("frontend") is not None:
        frontend_from(config["frontend"])


CONFIG = {
    "recipe": "fake",
    "system": "a",
    "frontend": {**FRONTEND, "clip_s": 2.0},
    "data": {
        "streams": {"weak": {"set": "weak", "labels": {"target": "clip"}, "share": 1.0}},
        "select": {"weak": {"set": "weak", "folds": ["select"]}},
        "draw": ["validation"],
    },
    "model": {"name": "cnn9_avg", "base_channels": 2},
    "objective": {"name": "clip_bce"},
    "optimiser": {"name": "adam"},
    "training": {"steps": 3, "batch_size": 4},
    "budgets": {"quick": {"training.steps": 3}},
}
RECIPE = {
    "data_sets": {"desed": "."},
    "tuned": [{"set": "synthetic", "fold": "tune", "objective": "segment", "labels": "strong.tsv"}],
    "predicted": ["validation"],
    "reported": {"validation": ["eval_dcase2018"]},
    "entered": ["validation"],
    "format": "dcase2019",
    "score": {"metrics": ["event"], "undefined": "zero"},
}
RULES = {
    "labels": ["Cat", "Dog"],
    "decoder": "threshold",
    "classes": {"Cat": {"threshold": 0.5, "median_s": 0.3}, "Dog": {"threshold": 0.2}},
}
PLAN = {
    "events": "events",
    "scenes": "scenes",
    "seed": 0,
    "sample_rate": 16000,
    "length_s": 10.0,
    "snr": "excerpt",
    "assignment": "grouped",
    "snr_db": 0,
    "mixtures": [
        {
            "mixture_name": "00000.wav",
            "fold": 1,
            "scene_audio_name": "a.wav",
            "events": [{"event_label": "Cat", "event_audio_name": "b.wav", "onset": 1.0, "offset": 3.0}],
        }
    ],
}
AUTHORS = {"authors": PEOPLE, "source_code": None, "systems": {"a": {"name": "A", "description": {}}}}
AUDACITY = texts.tables(("0.5", "1.5", "Cat"), (second, second, label))
RAVEN = texts.tables(
    ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Annotation"),
    (*[st.just("1")] * 3, second, second, st.just("0"), st.just("8000"), label),
)

TABLES = ("sedkit.dataio.rows", "sedkit.dataio.tables")
TARGETS: dict[str, Target] = {
    "strong table": Target(named(t__tsv=STRONG), lambda f: read_reference(f / "t.tsv"), TABLES),
    "strong or weak table": Target(
        named(t__tsv=st.one_of(STRONG, WEAK)), lambda f: read_truth(f / "t.tsv"), ("sedkit.evaluation.reading", *TABLES)
    ),
    "weak table": Target(named(t__tsv=WEAK), lambda f: read_weak(f / "t.tsv"), TABLES),
    "label track": Target(
        named(a__txt=AUDACITY), lambda f: read_truth(f / "a.txt"), (*TABLES, "sedkit.dataio.event_formats")
    ),
    "selection table": Target(
        named(a__txt=RAVEN), lambda f: read_truth(f / "a.txt"), (*TABLES, "sedkit.dataio.event_formats")
    ),
    "detections": Target(
        named(d__json=texts.jsons(DETECTIONS)),
        lambda f: read_truth(f / "d.json"),
        ("sedkit.dataio.event_formats",),
        0.5,
    ),
    "durations": Target(
        named(t__tsv=texts.tables(("filename", "duration"), (name, duration))),
        lambda f: read_durations(f / "t.tsv"),
        TABLES,
    ),
    "list of files": Target(
        named(t__tsv=texts.tables(("filename",), (name,))), lambda f: read_filenames(f / "t.tsv"), TABLES
    ),
    "class list": Target(
        named(l__txt=LABEL_LINES), lambda f: Vocabulary.read(f / "l.txt"), ("sedkit.core.vocabulary",)
    ),
    "data dir": Target(
        st.one_of(
            named(clips__tsv=CLIPS, labels__txt=LABEL_LINES),
            named(clips__tsv=CLIPS, labels__txt=LABEL_LINES, weak__tsv=WEAK),
            named(clips__tsv=CLIPS, labels__txt=LABEL_LINES, weak__tsv=WEAK, strong__tsv=STRONG),
        ),
        read_all,
        ("sedkit.dataio.datadir",),
        0.5,
    ),
    "score tables": Target(
        st.dictionaries(st.sampled_from(("a.tsv", "b.tsv", "c d.tsv")), SCORES, max_size=3),
        read_score_tsvs,
        ("sedkit.dataio.score_tsvs",),
        0.5,
    ),
    "scores": Target(
        named(s__h5=binaries.hdf5s(scores_file)),
        lambda f: read_scores(f / "s.h5"),
        ("sedkit.dataio.store",),
        0.5,
    ),
    "features": Target(
        named(features__h5=binaries.hdf5s(features_file)),
        read_features,
        ("sedkit.dataio.store",),
        0.5,
    ),
    "recording": Target(named(a__wav=binaries.wavs()), read_sound, ("sedkit.dataio.audio", "sedkit.dataio.wav"), 1.0),
    "checkpoint": Target(
        named(c__pt=binaries.spoilt_files(checkpoint_file)),
        lambda f: read_checkpoint(f / "c.pt"),
        ("sedkit.models.checkpoint", "sedkit.models.weights"),
        0.3,
    ),
    "yaml": Target(
        named(y__yaml=texts.yamls(CONFIG)), lambda f: read_yaml(f / "y.yaml"), ("sedkit.core.yaml_text",), 0.3
    ),
    "json": Target(
        named(j__json=texts.jsons(results())), lambda f: read_json(f / "j.json"), ("sedkit.core.files",), 0.5
    ),
    "configuration": Target(named(c__yaml=texts.yamls(CONFIG)), read_system, ("sedkit.core.config",), 0.3),
    "recipe": Target(
        named(recipe__yaml=texts.yamls(RECIPE)), lambda f: read_recipe(f / "recipe.yaml"), ("sedkit.cli._recipe",), 0.3
    ),
    "post-processing": Target(
        named(p__yaml=texts.yamls(RULES)),
        lambda f: read_postprocessing(str(f / "p.yaml"), ("Cat", "Dog")),
        ("sedkit.postprocessing.rules",),
        0.5,
    ),
    "plan": Target(
        named(plan__yaml=texts.yamls(PLAN)), lambda f: read_plan(f / "plan.yaml"), ("sedkit.synthesis.plan_file",), 0.3
    ),
    "authors": Target(
        named(a__yaml=texts.yamls(AUTHORS)), lambda f: read_authors(f / "a.yaml"), ("sedkit.submission.authors",), 0.3
    ),
    "results": Target(
        named(r__json=texts.jsons(results())),
        lambda f: read_results(f / "r.json"),
        ("sedkit.evaluation.results_file",),
        0.5,
    ),
    "package": Target(
        st.sampled_from(("dcase2018", "dcase2019", "dcase2021", "dcase2022", "dcase2023a", "dcase2024")).flatmap(
            lambda form: binaries.zips(functools.partial(members, form)).map(lambda content: {f"{form}.zip": content})
        ),
        lambda f: [check_package(path, get_format(path.stem), CLIP_LIST) for path in f.glob("*.zip")],
        ("sedkit.submission.check", "sedkit.submission.package", "sedkit.submission.meta.read"),
        0.05,
    ),
}


def prepare(folder: Path, target: str) -> None:
    """Put there what a target's files speak of."""
    if target == "plan":
        for part in ("events", "scenes"):
            (folder / part).mkdir()
            rows = "".join(f"{n}\t{n}\t10.0\ttrain\t{n}\n" for n in ("a.wav", "b.wav"))
            (folder / part / "clips.tsv").write_text("filename\taudio\tduration\tfold\tgroup\n" + rows)
            (folder / part / "labels.txt").write_text("Cat\nDog\n")
            (folder / part / "weak.tsv").write_text("filename\tevent_labels\na.wav\tDog\nb.wav\tCat\n")
            write_yaml(folder / part / "set.yaml", {})
