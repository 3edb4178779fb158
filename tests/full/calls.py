"""A call of sedkit for every stage, each in a small world of its own, and a folder in which all of them were made."""

from __future__ import annotations

from pathlib import Path

from sedkit.core.files import write_yaml
from tests.full.victims import Call, Ended, copy_links, import_everything, leftovers, log_of, run

FRONTEND = {
    "name": "logmel",
    "sample_rate": 16000,
    "n_fft": 512,
    "hop_samples": 500,
    "n_mels": 16,
    "fmin_hz": 50.0,
    "fmax_hz": 7000.0,
    "clip_s": 10.0,
}
CONFIG = {
    "recipe": "faults",
    "system": "small",
    "frontend": FRONTEND,
    "data": {
        "streams": {"weak": {"set": "weak"}},
        "select": {"weak": {"set": "weak", "folds": ["select"]}},
        "draw": ["validation"],
    },
    "normalise": {"zscore": {}},
    "model": {"name": "cnn9_avg", "base_channels": 2},
    "objective": {"name": "clip_bce"},
    "optimiser": {"name": "adam"},
    "training": {"steps": 12, "batch_size": 4, "eval_every": 6, "checkpoint_every": 2, "precision": "fp32"},
}
MIX = {
    "mix": {"events": "events/verified", "scenes": "scenes/scenes", "mixtures": 12},
    "frontend": {**FRONTEND, "sample_rate": 32000},
}
EXP, SET = "exp/faults/small/seed0", "data/desed/validation"
#: In the order in which each needs the ones before.
CALLS = (
    Call("data", ("miniature", "fsdkaggle2018", "fsd", "--size", "20", "--jobs", "1"), ("fsd",)),
    Call("prepare", ("prepare", "desed", "desed", "data/desed", "--jobs", "1"), ("data/desed",)),
    Call("mix", ("mix", "render", "data/plan.yaml", "--out", "data/snr0", "--jobs", "1"), ("data/snr0",)),
    Call(
        "features",
        ("extract", SET, "--config", "c.yaml", "--out", f"{SET}/features.h5", "--jobs", "1"),
        (f"{SET}/features.h5",),
    ),
    Call("train", ("train", "--config", "c.yaml", "--data", "data/desed", "--exp", EXP), (EXP,)),
    Call("predict", ("predict", EXP, SET, "--out", f"{EXP}/scores/validation.h5"), (f"{EXP}/scores/validation.h5",)),
    Call(
        "tune",
        (
            *("tune", f"{EXP}/scores/synthetic.h5", "--reference", "data/desed/synthetic/strong.tsv"),
            *("--objective", "segment", "--out", f"{EXP}/postprocessing.yaml"),
        ),
        (f"{EXP}/postprocessing.yaml",),
    ),
    Call(
        "decode",
        (
            *(
                "decode",
                f"{EXP}/scores/validation.h5",
                "--postprocessing",
                "0.5",
                "--out",
                f"{EXP}/events/validation.tsv",
            ),
            *("--operating-points-out", f"{EXP}/points"),
        ),
        (f"{EXP}/events/validation.tsv", f"{EXP}/points"),
    ),
    Call(
        "score",
        (
            *("score", "--reference", f"{SET}/strong.tsv", "--estimate", f"{EXP}/events/validation.tsv"),
            *("--metrics", "segment,event", "--bootstrap", "200", "--json", f"{EXP}/results/validation.json"),
        ),
        (f"{EXP}/results/validation.json",),
    ),
    Call(
        "detect", ("detect", EXP, "desed/audio/validation", "--postprocessing", "0.5", "--out", "events/"), ("events",)
    ),
)
#: Calls that write into the folder `small`, and how many pages of 4 KiB they find there.
INTO_SMALL = (
    (
        Call("features", ("extract", SET, "--config", "c.yaml", "--out", "small/f.h5", "--jobs", "1"), ("small/f.h5",)),
        9,
    ),
    (Call("train", ("train", "--config", "c.yaml", "--data", "data/desed", "--exp", "small/exp"), ("small/exp",)), 9),
    (Call("predict", ("predict", EXP, SET, "--out", "small/s.h5"), ("small/s.h5",)), 3),
    (
        Call(
            "decode",
            (
                *("decode", f"{EXP}/scores/validation.h5", "--postprocessing", "0.5", "--out", "small/e.tsv"),
                *("--operating-points-out", "small/points"),
            ),
            ("small/e.tsv", "small/points"),
        ),
        9,
    ),
    (
        Call(
            "score",
            (
                *("score", "--reference", f"{SET}/strong.tsv", "--estimate", f"{EXP}/events/validation.tsv"),
                *("--metrics", "segment,event", "--json", "small/r.json"),
            ),
            ("small/r.json",),
        ),
        2,
    ),
    (
        Call(
            "detect",
            ("detect", EXP, "desed/audio/validation", "--postprocessing", "0.5", "--out", "small/e/"),
            ("small/e",),
        ),
        6,
    ),
)
#: What the calls need besides, made once.
DESED = (("miniature", "desed", "desed", "--size", "20", "--jobs", "1"),)
ALSO = (
    ("miniature", "tut2018", "tut", "--size", "20", "--jobs", "1"),
    ("prepare", "fsdkaggle2018", "fsd", "data/events", "--jobs", "1"),
    ("prepare", "tut2018", "tut", "data/scenes", "--jobs", "1"),
    ("mix", "plan", "--config", "mix.yaml", "--data", "data", "--out", "data/plan.yaml"),
)
EXTRACT = tuple(
    ("extract", f"data/desed/{name}", "--config", "c.yaml", "--jobs", "1")
    for name in ("weak", "synthetic", "validation")
)
PREDICT = (("predict", EXP, "data/desed/synthetic", "--out", f"{EXP}/scores/synthetic.h5"),)
#: Before which stage what else is made.
BEFORE = {"prepare": DESED, "mix": ALSO, "train": EXTRACT, "tune": PREDICT}


def make_world(folder: Path) -> None:
    """Make every call to its end in a folder."""
    write_yaml(folder / "c.yaml", CONFIG)
    write_yaml(folder / "mix.yaml", MIX)
    for call in CALLS:
        for words in BEFORE.get(call.stage, ()):
            assert run(Call("", words, ()), folder).status == 0, (words, said(folder))
        (folder / call.outputs[0]).parent.mkdir(parents=True, exist_ok=True)
        assert run(call, folder).status == 0, (call.words, said(folder))
    assert leftovers(folder) == []


def said(folder: Path) -> str:
    """Return the end of what calls in a folder have said."""
    return log_of(folder).read_text()[-2000:]


def behind(call: Call) -> tuple[str, ...]:
    """Return what a call and those after it make."""
    return tuple(output for later in CALLS[CALLS.index(call) :] for output in later.outputs)


class World:
    """A folder in which every call was made, and copies of it in which some were not.

    Attributes
    ----------
    unharmed
        The folder.
    """

    def __init__(self, root: Path) -> None:
        import_everything()
        # Others may look, too.
        root.chmod(0o755)
        self.unharmed = root / "unharmed"
        self.unharmed.mkdir()
        make_world(self.unharmed)
        self._made: dict[str, tuple[Path, Ended]] = {}

    def before(self, call: Call) -> Path:
        """Return the folder `trial`, in which a call is still to be made; new each time."""
        folder = self.unharmed.with_name("trial")
        copy_links(self.unharmed, folder, behind(call))
        log_of(folder).write_text("")
        return folder

    def made(self, call: Call) -> tuple[Path, Ended]:
        """Return a folder in which a call was made undisturbed, and how it ended."""
        if call.stage not in self._made:
            trial, made = self.before(call), self.unharmed.with_name(f"made-{call.stage}")
            ended = run(call, trial)
            assert ended.status == 0, (call.words, said(trial))
            # Some outputs say where they were made.
            trial.rename(made)
            self._made[call.stage] = made, ended
        return self._made[call.stage]
