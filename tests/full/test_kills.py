"""Processes that are killed at work, in every stage: the same call then ends with what an unharmed one leaves."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from tests.full import reliability
from tests.full.calls import CALLS, World, said
from tests.full.victims import STORE, WRITE, Ended, Moment, differences, leftovers, run

#: Of how many kills the page speaks, and how many of them are within a checkpoint or an HDF5 file, and of a stage.
_MANY, _IN_STORES, _OF_A_STAGE = 200, 20, 10


def moment(draw: random.Random, whole: Ended) -> Moment:
    """Draw when a call is killed: at any time, or while it writes a file; more often a checkpoint or an HDF5 file."""
    kinds = [(WRITE, whole.writes), *[(STORE, whole.stores)] * 3] if whole.stores else [(WRITE, whole.writes)]
    mark, spans = draw.choice([(b"", ()), *kinds])
    if not spans:
        return Moment(draw.uniform(0, 0.95 * whole.seconds))
    n = draw.randrange(len(spans))
    return Moment(draw.uniform(0, 0.8 * (spans[n] or 0.0)), mark, n)


@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_call_is_made_good_by_the_next(world: World, kills: int, fault_seed: int) -> None:
    draw, counts = random.Random(fault_seed), Counter[str]()
    # The longest first, where there are few.
    turn = sorted(CALLS, key=lambda call: (call.stage != "train", draw.random()))
    late = 0
    while counts["kills"] < kills:
        call = turn[counts["kills"] % len(turn)]
        made, whole = world.made(call)
        trial = world.before(call)
        killed = run(call, trial, moment(draw, whole))
        if killed.status != -9:
            # It ended before it was hit, which is no kill.
            late += 1
            assert killed.status == 0, (call.words, said(trial))
            assert late <= 20 + 2 * kills
            continue
        counts["kills"] += 1
        counts[call.stage] += 1
        counts["in a write"] += None in killed.writes
        counts["in a checkpoint or HDF5 file"] += None in killed.stores
        assert run(call, trial).status == 0, (call.words, said(trial))
        assert differences(made, trial, call.outputs) == [], (call.words, fault_seed)
        assert leftovers(trial) == [], call.words
        if counts["kills"] % 20 == 0:
            print(f"{counts['kills']} kills, {late} too late: {dict(counts)}", file=sys.stderr)
    assert kills < _MANY or counts["in a checkpoint or HDF5 file"] >= _IN_STORES, counts
    assert kills < _MANY or min(counts[call.stage] for call in CALLS) >= _OF_A_STAGE, counts
    reliability.record("kills", "all stages", {**counts, "seed": fault_seed})
