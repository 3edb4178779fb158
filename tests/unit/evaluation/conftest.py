"""Random tables with all that goes wrong: ties, touching edges, duplicates, empty clips, classes on one side only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sedkit.dataio.events import Events

from ..synthesis.mix_case import render_small

Rows = list[tuple[str, float | None, float | None, str | None]]


def make_table(
    rng: np.random.Generator,
    n_clips: int,
    most_events: int,
    labels: str = "abc",
    step_s: float = 0.1,
    overlaps: bool = True,
) -> Events:
    """Times lie on a grid, so that ties, touching edges and differences on a tolerance are common."""
    rows: Rows = []
    for clip in range(n_clips):
        name = f"clip{clip}.wav"
        made: Rows = []
        for _ in range(int(rng.integers(0, most_events + 1))):
            onset = float(rng.integers(-1, 30)) * step_s
            length = 0 if rng.random() < 0.05 else int(rng.integers(1, 20))
            offset = onset + length * step_s
            made.append((name, onset, offset, str(rng.choice(list(labels)))))
        if made and rng.random() < 0.2:
            made.append(made[0])
        rows += made or [(name, None, None, None)]
    events = Events.from_rows(rows)
    return events if overlaps else without_overlaps(events)


def without_overlaps(events: Events) -> Events:
    """Leave out events that overlap an earlier one of their class; equal rows stay."""
    keep: list[int] = []
    for i in range(events.n_events):
        clash = any(
            events.clip[i] == events.clip[j]
            and events.label[i] == events.label[j]
            and events.onset_s[i] < events.offset_s[j]
            and events.onset_s[j] < events.offset_s[i]
            and (events.onset_s[i], events.offset_s[i]) != (events.onset_s[j], events.offset_s[j])
            for j in keep
        )
        if not clash:
            keep.append(i)
    return events.take(np.array(keep, dtype=np.int64))


def make_durations(events: Events, seconds: float = 5.0) -> dict[str, float]:
    """Give every clip the same duration."""
    return dict.fromkeys(events.filenames, seconds)


@pytest.fixture(scope="session")
def table() -> Callable[..., Events]:
    """Make a random table."""
    return make_table


@pytest.fixture(scope="session")
def durations() -> Callable[..., dict[str, float]]:
    """Make durations of a table's clips."""
    return make_durations


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve mixtures of 2 s, three a fold, with overlaps."""
    return render_small(tmp_path_factory.mktemp("mix"))
