"""Processes that are killed at work, in every stage: the same call then ends with what an unharmed one leaves."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedkit.core.files import write_yaml
from tests.full import reliability
from tests.full.victims import Call, copy_links, differences, leftovers, run

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
    Call("data", ("miniature", "desed", "desed", "--size", "20", "--jobs", "1"), ("desed",)),
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
#: What the calls need besides, made once.
ALSO = (
    ("miniature", "fsdkaggle2018", "fsd", "--size", "20", "--jobs", "1"),
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
BEFORE = {"mix": ALSO, "train": EXTRACT, "tune": PREDICT}


@pytest.fixture(scope="module")
def unharmed() -> Iterator[Path]:
    """A folder in which every call was made to its end."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name) / "unharmed"
        folder.mkdir()
        write_yaml(folder / "c.yaml", CONFIG)
        write_yaml(folder / "mix.yaml", MIX)
        for call in CALLS:
            for words in BEFORE.get(call.stage, ()):
                assert run(Call("", words, ()), folder).status == 0, (words, said(folder))
            (folder / call.outputs[0]).parent.mkdir(parents=True, exist_ok=True)
            assert run(call, folder).status == 0, (call.words, said(folder))
        assert leftovers(folder) == []
        yield folder


def said(folder: Path) -> str:
    return (folder / "errors.log").read_text()[-2000:]


def behind(call: Call) -> tuple[str, ...]:
    """Return what a call and those after it make."""
    return tuple(output for later in CALLS[CALLS.index(call) :] for output in later.outputs)


@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_call_is_made_good_by_the_next(unharmed: Path, kills: int, fault_seed: int) -> None:
    draw, counts = random.Random(fault_seed), Counter[str]()
    # The longest first, where there are few.
    turn = sorted(CALLS, key=lambda call: (call.stage != "train", draw.random()))
    late = 0
    while counts["kills"] < kills:
        call = turn[counts["kills"] % len(turn)]
        trial, other = unharmed.with_name("trial"), unharmed.with_name("other")
        copy_links(unharmed, trial, behind(call))
        whole = run(call, trial)
        assert whole.status == 0, (call.words, said(trial))
        trial.rename(other)
        copy_links(unharmed, trial, behind(call))
        # Half of the kills come at any time, half while a file is written.
        writing = bool(whole.writes) and draw.random() < 0.5
        if writing:
            killed = run(call, trial, kill_in=(draw.randrange(whole.writes), draw.uniform(0, 0.004)))
        else:
            killed = run(call, trial, kill_at=draw.uniform(0, 0.95 * whole.seconds))
        if killed.status == -9:
            counts["kills"] += 1
            counts[call.stage] += 1
            counts["in a write"] += writing
            again = run(call, trial)
            assert again.status == 0, (call.words, said(trial))
            assert differences(other, trial, call.outputs) == [], (call.words, fault_seed)
            assert leftovers(trial) == [], call.words
            if counts["kills"] % 20 == 0:
                print(f"{counts['kills']} kills: {dict(counts)}", file=sys.stderr)
        else:
            # It ended before it was hit, which is no kill.
            late += 1
            assert killed.status == 0, (call.words, said(trial))
            assert late <= 20 + 2 * kills
        for folder in (trial, other):
            shutil.rmtree(folder)
    reliability.record("kills", "all stages", {**counts, "seed": fault_seed})
