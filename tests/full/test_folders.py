"""Folders that others work in, too: two calls at once, inputs replaced half-way, outputs that were cut off."""

from __future__ import annotations

import random
import shutil
from functools import cache, partial
from pathlib import Path

import pytest
import soundfile

from tests.full.calls import CALLS, EXP, EXTRACT, SET, World, said
from tests.full.reliability import record_fault
from tests.full.victims import ABOUT, WRITE, Call, Moment, Victim, differences, leftovers, log_of, run

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.mark.parametrize("call", CALLS, ids=[call.stage for call in CALLS])
def test_of_two_calls_at_once_one_does_the_work(world: World, call: Call) -> None:
    made, whole = world.made(call)
    trial = world.before(call)
    both = [victim.watch() for victim in [Victim(call, trial), Victim(call, trial)]]
    assert [one.status for one in both] == [0, 0], said(trial)
    assert differences(made, trial, call.outputs) == []
    assert leftovers(trial) == []
    assert "Traceback" not in said(trial)
    # Each file was written once, by whichever.
    assert sum(len(one.writes) for one in both) == len(whole.writes)
    record_fault("two calls at once in one folder", __file__)


@pytest.mark.parametrize("call", CALLS, ids=[call.stage for call in CALLS])
def test_an_output_that_was_cut_off_is_made_again(world: World, call: Call, fault_seed: int) -> None:
    made, _ = world.made(call)
    draw = random.Random(fault_seed)
    trial = world.before(call)
    assert run(call, trial).status == 0, said(trial)
    outputs = [trial / output for output in call.outputs]
    files = [path for output in outputs for path in [output, *sorted(output.rglob("*"))] if path.is_file()]
    if call.stage == "train":
        # What it was made for; the others are notes.
        files = [path for path in files if path.name == "best.pt"]
    for path in draw.sample(files, min(4, len(files))):
        if path.name.endswith(ABOUT):
            continue
        content = path.read_bytes()
        # The trial's files have other names elsewhere.
        path.unlink()
        path.write_bytes(content[: draw.randrange(len(content))] if content else b"x")
        assert run(call, trial).status == 0, said(trial)
        assert differences(made, trial, call.outputs) == [], path
        record_fault("an output that was cut off", __file__)
    assert leftovers(trial) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_training_whose_checkpoint_was_cut_off_begins_anew(world: World, share: float) -> None:
    (call,) = (call for call in CALLS if call.stage == "train")
    made, _ = world.made(call)
    trial = world.before(call)
    last = trial / EXP / "checkpoints/last.pt"
    # After it has gone on some steps from the first.
    assert run(call, trial, Moment(0.0, WRITE, 8)).status == -9
    content = last.read_bytes()
    last.unlink()
    last.write_bytes(content[: int(share * len(content))])
    log_of(trial).write_text("")
    assert run(call, trial).status == 0, said(trial)
    assert "last.pt" in said(trial) and "starting anew" in said(trial)
    assert differences(made, trial, call.outputs) == []
    record_fault("the checkpoint of an unfinished training that was cut off", __file__)


@pytest.fixture(scope="module")
def quieter(world: World) -> Path:
    """A folder in which every recording is half as loud, and so all that follows from it differs."""
    folder = world.unharmed.with_name("quieter")
    shutil.copytree(world.unharmed, folder)
    log_of(folder).write_text("")
    for path in folder.glob("desed/audio/**/*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, 0.5 * samples, rate, "PCM_16")
    again = {call.stage: call for call in CALLS}
    first = [Call("", words, ()) for words in EXTRACT]
    for call in (*first, *(again[stage] for stage in ("features", "train", "predict", "decode"))):
        assert run(call, folder).status == 0, said(folder)
    return folder


@pytest.mark.parametrize(
    ("stage", "replaced"),
    [
        ("features", "desed/audio/validation"),
        ("train", "data/desed/weak"),
        ("predict", f"{EXP}/checkpoints"),
        ("predict", SET),
        ("decode", f"{EXP}/scores"),
        ("score", f"{EXP}/events"),
        ("detect", f"{EXP}/checkpoints"),
        ("detect", "desed/audio/validation"),
    ],
)
def test_what_was_replaced_half_way_is_not_taken_for_done(
    world: World, quieter: Path, stage: str, replaced: str, fault_seed: int
) -> None:
    (call,) = (call for call in CALLS if call.stage == stage)
    _, whole = world.made(call)
    draw = random.Random(fault_seed)
    trial = world.before(call)
    exchange(trial, quieter, replaced)
    assert run(call, trial).status == 0, said(trial)
    fresh = trial.with_name("fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    trial.rename(fresh)
    for _ in range(3):
        trial = world.before(call)
        at = Moment(draw.uniform(0, 0.8 * whole.seconds))
        replaces = cache(partial(exchange, trial, quieter, replaced))
        ended = run(call, trial, at, replaces)
        # Where the call was quicker, after it.
        replaces()
        assert ended.status in (0, 1) and "Traceback" not in said(trial), said(trial)
        assert run(call, trial).status == 0, said(trial)
        assert differences(fresh, trial, call.outputs) == []
        record_fault("inputs that are replaced while a call reads them", __file__)


def exchange(folder: Path, other: Path, name: str) -> None:
    """Put a folder of another world in the place of one."""
    new = folder / f"{name}.new"
    shutil.copytree(other / name, new)
    (folder / name).rename(folder / f"{name}.before")
    new.rename(folder / name)
    shutil.rmtree(folder / f"{name}.before")
