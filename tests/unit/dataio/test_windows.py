"""Windows: how they are laid over recordings, and how far they reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.windows import lay, windows_at

GRID = TimeGrid(44100, 441)


def test_two_hundred_clips_of_five_seconds_give_the_published_8200_windows() -> None:
    windows = lay(np.full(200, 500), GRID, 100, 10)
    assert len(windows) == 8200 and (np.bincount(windows.recording) == 41).all()
    # The published cutting: ten offsets of 0.1 s, then whole seconds.
    published = sorted(round(j * 0.1 + s, 6) for j in range(10) for s in range(5 if j == 0 else 4))
    assert windows.onset_s()[:41].round(6).tolist() == published
    assert windows.length_s == 1.0 and (windows.valid == 100).all()


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4), st.integers(1, 200), st.integers(1, 200))
def test_windows_reach_exactly_as_far_as_they_say(n_frames: list[int], length: int, hop: int) -> None:
    hop = min(hop, length)
    inside = lay(np.array(n_frames), GRID, length, hop)
    cover = lay(np.array(n_frames), GRID, length, hop, to_end=True)
    for recording, n in enumerate(n_frames):
        first, valid = (x[inside.recording == recording] for x in (inside.first, inside.valid))
        assert first[0] == 0 and (np.diff(first) == hop).all()
        assert len(first) == 1 or first[-1] + length <= n
        assert first[-1] + hop + length > n and valid.tolist() == [min(length, n)] * len(first)
        first, valid = (x[cover.recording == recording] for x in (cover.first, cover.valid))
        assert first[0] == 0 and first[-1] + length >= n
        assert len(first) == 1 or first[-2] + length < n
        assert valid[-1] == n - first[-1] and (valid[:-1] == length).all()


@pytest.mark.parametrize(
    ("n", "length", "hop", "slack", "first"),
    [
        (1, 8, 4, 0, [0]),
        (8, 8, 4, 0, [0]),
        (9, 8, 4, 0, [0, 4]),
        (9, 8, 4, 1, [0]),
        (10, 8, 4, 1, [0, 4]),
        (13, 8, 4, 0, [0, 4, 8]),
        (20, 8, 8, 0, [0, 8, 16]),
    ],
)
def test_windows_cover_a_recording_but_for_the_slack(n: int, length: int, hop: int, slack: int, first: list) -> None:
    windows = lay(np.array([n]), GRID, length, hop, to_end=True, slack=slack)
    assert windows.first.tolist() == first


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0)])
def test_windows_of_nothing_are_refused(length: int, hop: int) -> None:
    with pytest.raises(SedkitError, match="expected at least 1"):
        lay(np.array([10]), GRID, length, hop)


def test_windows_at_given_times_lie_on_the_grid() -> None:
    windows = windows_at(GRID, np.array([0, 1, 1]), np.array([0.104, 0.0, 2.5]), 100, np.array([500, 260]))
    assert windows.first.tolist() == [10, 0, 250] and windows.valid.tolist() == [100, 100, 10]
    taken = windows.take(windows.recording == 1)
    assert taken.first.tolist() == [0, 250] and taken.length == 100
