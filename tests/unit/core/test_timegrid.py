"""Seconds and frames: half open, tolerant of float dust, never losing an event."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.core.timegrid import TimeGrid

GRIDS = st.builds(
    TimeGrid, st.sampled_from([16000, 32000, 44100]), st.sampled_from([256, 441, 500, 511]), st.sampled_from([1, 4, 8])
)


def test_published_grids():
    assert TimeGrid(32000, 500).frame_rate_hz == 64
    assert TimeGrid(32000, 500).n_frames(10.0) == 640
    assert TimeGrid(32000, 500, 8).n_frames(10.0) == 80
    assert math.isclose(TimeGrid(44100, 511, 8).frame_s, 0.0926984, abs_tol=5e-8)
    assert [TimeGrid(32000, 1024).span(s, 9.0)[0] for s in (0.5, 3.0, 5.5)] == [15, 93, 171]


@given(GRIDS, st.integers(0, 5000), st.integers(1, 500))
def test_frame_edges_map_back_to_their_frames(grid, first, length):
    edges = grid.edges_s(first + length)
    assert grid.span(edges[first], edges[first + length]) == (first, first + length)


@given(GRIDS, st.floats(0, 600), st.floats(0.001, 20))
def test_a_span_covers_its_event(grid, onset, length):
    first, last = grid.span(onset, onset + length)
    assert last > first
    assert first * grid.frame_s <= onset + 1e-6
    assert last * grid.frame_s >= onset + length - 1e-6


@pytest.mark.parametrize("bad", [(0, 1, 1), (16000, 0, 1), (16000, 256, 0), (16000, 0.5, 1)])
def test_grids_that_cannot_be(bad):
    with pytest.raises(SedkitError, match="expected a whole number"):
        TimeGrid(*bad)
