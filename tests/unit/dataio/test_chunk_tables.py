import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.chunks import (
    covering_starts,
    dense_starts,
    event_chunks,
    published_chunks,
    tagged_chunks,
)
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.tables import read_strong

FIVE = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")


def test_two_hundred_clips_of_five_seconds_give_the_published_8200_chunks() -> None:
    names = tuple(f"{i}.wav" for i in range(200))
    tags = Tags(names, FIVE, np.eye(5, dtype=bool)[np.arange(200) % 5])
    chunks = tagged_chunks(tags, np.full(200, 5.0))
    assert len(chunks) == 8200
    assert (np.bincount(chunks.clip) == 41).all()
    # The published cutting: ten offsets of 0.1 s, then whole seconds.
    published = sorted(round(j * 0.1 + s, 6) for j in range(10) for s in range(5 if j == 0 else 4))
    assert [round(s, 6) for s in chunks.start_s[:41]] == published
    assert chunks.present[41].tolist() == [False, True, False, False, False]
    assert chunks.names()[3] == "0@00300.wav"


@given(st.floats(0.3, 30.0), st.sampled_from([(1.0, 0.1), (1.0, 1.0), (1.0, 0.25), (0.5, 0.1)]))
def test_starts_reach_exactly_as_far_as_they_say(duration_s: float, cut: tuple[float, float]) -> None:
    chunk_s, hop_s = cut
    dense = dense_starts(duration_s, chunk_s, hop_s)
    assert all(s + chunk_s <= duration_s + 1e-5 for s in dense)
    assert len(dense) == 0 or dense[-1] + hop_s + chunk_s > duration_s - 1e-5
    cover = covering_starts(duration_s, chunk_s, hop_s)
    assert cover[0] == 0 and cover[-1] + chunk_s >= duration_s - 1e-5
    assert len(cover) == 1 or cover[-2] + chunk_s < duration_s + 1e-5


def test_a_hop_that_leaves_gaps_is_refused() -> None:
    with pytest.raises(SedkitError, match="leave gaps"):
        covering_starts(5.0, 1.0, 1.5)
    with pytest.raises(SedkitError, match="above 0 s"):
        dense_starts(5.0, 1.0, 0.0)


def test_grid_chunks_hold_the_classes_of_the_events_that_they_overlap() -> None:
    events = Events.from_rows(
        [("a.wav", 0.2, 1.5, "Cat"), ("a.wav", 1.95, 2.0, "Dog"), ("b.wav", None, None, None)], FIVE
    )
    chunks = event_chunks(events, np.array([3.4, 2.0]))
    assert chunks.clip.tolist() == [0, 0, 0, 0, 1, 1]
    assert chunks.present[:, 1].tolist() == [True, True, False, False, False, False]
    assert chunks.present[:, 2].tolist() == [False, True, False, False, False, False]
    # With a least overlap, the half second still counts, a short event still counts where all of it lies inside.
    strict = event_chunks(events, np.array([3.4, 2.0]), least_s=0.6)
    assert strict.present[:, 1].tolist() == [True, False, False, False, False, False]
    assert strict.present[:, 2].tolist() == [False, True, False, False, False, False]


def test_published_chunks_keep_the_inverted_rule_and_drop_the_last_event() -> None:
    events = Events.from_rows(
        [
            ("b.wav", 0.0, 0.5, "Dog"),  # the last event once sorted: dropped
            ("a.wav", 0.0, 1.5, "Cat"),  # two chunks; the next event begins within a second: no second class (wrong)
            ("a.wav", 0.5, 0.9, "Dog"),  # one chunk; the next one begins later: both get both (wrong)
            ("a.wav", 4.0, 4.2, "Cat"),
            ("a.wav", 0.1, 9.0, "Speech"),  # no class of ours
        ],
        ("Speech", *FIVE),
    )
    chunks = published_chunks(events, FIVE)
    names = [events.filenames[c] for c in chunks.clip]
    assert names == ["a.wav"] * 4
    assert chunks.start_s.tolist() == [0.0, 1.0, 0.5, 4.0]
    assert chunks.present[:, 1].tolist() == [True, True, True, True]
    assert chunks.present[:, 2].tolist() == [False, False, True, True]


def test_published_chunks_of_the_public_set_give_the_published_counts(shared, tmp_path) -> None:
    table = tmp_path / "public.tsv"
    table.write_bytes(lzma.decompress((shared / "vectors/metadata_true/public.tsv.xz").read_bytes()))
    events = read_strong(table)
    five = events.keep_labels(FIVE)
    assert (five.n_events, len(set(five.clip.tolist()))) == (1082, 402)
    chunks = published_chunks(events, FIVE)
    assert len(chunks) == 3057
    assert round(100 * (chunks.present.sum(axis=1) > 1).mean(), 1) == 1.8
    assert chunks.present.any(axis=1).all()
