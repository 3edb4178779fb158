import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.chunks import ChunkTable, covering_starts, event_chunks
from sedkit.dataio.events import Events
from sedkit.evaluation.alignment import align
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.postprocessing.chunks import merge_chunks
from sedkit.postprocessing.decode import decode
from sedkit.postprocessing.rules import FrameRule, Postprocessing

FIVE = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")
HALF = Postprocessing.uniform(FIVE, FrameRule(threshold=0.5))


def covering(durations_s: list[float], hop_s: float) -> ChunkTable:
    starts = [covering_starts(d, 1.0, hop_s) for d in durations_s]
    clip = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
    names = tuple(f"{i}.wav" for i in range(len(starts)))
    return ChunkTable(names, FIVE, clip, np.concatenate(starts), np.zeros((len(clip), 5), dtype=bool))


@st.composite
def annotated_clips(draw: st.DrawFn) -> tuple[Events, np.ndarray]:
    rows, durations = [], []
    for i in range(draw(st.integers(1, 4))):
        ms = draw(st.integers(300, 12_000))
        durations.append(ms / 1000)
        rows.append((f"{i}.wav", None, None, None))
        for _ in range(draw(st.integers(0, 4))):
            onset = draw(st.integers(0, ms - 1))
            offset = draw(st.integers(onset + 1, ms))
            rows.append((f"{i}.wav", onset / 1000, offset / 1000, draw(st.sampled_from(FIVE))))
    return Events.from_rows(rows, FIVE), np.array(durations)


@settings(deadline=None)
@given(annotated_clips())
def test_a_perfect_chunk_oracle_scores_one_after_chunking_merging_and_cutting(case) -> None:
    events, durations = case
    chunks = event_chunks(events, durations)
    scores = merge_chunks(chunks.present.astype(np.float32), chunks, durations, step_s=1.0)
    found = decode(scores, HALF)
    assert (found.offset_s <= durations[found.clip]).all()
    reference, estimate = align(events, found)
    counts = count_segments(reference, estimate)
    assert (counts.n_reference == counts.n_estimate).all()
    assert (counts.n_reference == counts.n_true_positives).all()
    assert counts.n_reference.sum() > 0 or events.n_events == 0


@given(st.lists(st.floats(0.3, 7.0), min_size=1, max_size=3), st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 99))
def test_a_frame_is_the_mean_of_the_chunks_that_cover_it(durations_s, hop_s, seed) -> None:
    chunks = covering(durations_s, hop_s)
    p = np.random.default_rng(seed).random((len(chunks), 5), dtype=np.float32)
    scores = merge_chunks(p, chunks, np.array(durations_s), step_s=hop_s)
    for clip, duration_s in enumerate(durations_s):
        assert scores.n_frames[clip] == np.ceil(duration_s / hop_s - 1e-6)
        assert scores.edges(clip)[-1] == pytest.approx(duration_s)
        for frame in range(scores.n_frames[clip]):
            middle = (frame + 0.5) * hop_s
            over = (chunks.clip == clip) & (chunks.start_s <= middle) & (middle < chunks.start_s + 1.0)
            np.testing.assert_allclose(scores.framewise[clip, frame], p[over].mean(axis=0), rtol=1e-5)
        np.testing.assert_array_equal(scores.clipwise[clip], p[chunks.clip == clip].max(axis=0))


def test_neighbouring_chunks_become_one_event_that_ends_with_the_clip() -> None:
    chunks = covering([3.4], 1.0)
    p = np.zeros((4, 5), dtype=np.float32)
    p[1:, 2] = 1.0
    p[0, 0] = 1.0
    found = decode(merge_chunks(p, chunks, np.array([3.4]), step_s=1.0), HALF)
    assert list(found.rows()) == [("0.wav", 0.0, 1.0, "Alarm_bell_ringing"), ("0.wav", 1.0, 3.4, "Dog")]


def test_chunks_off_the_frames_and_holes_are_refused() -> None:
    chunks = covering([3.0], 1.0)
    p = np.zeros((3, 5), dtype=np.float32)
    with pytest.raises(SedkitError, match=r"multiples of it"):
        merge_chunks(p, chunks, np.array([3.0]), step_s=0.3)
    with pytest.raises(SedkitError, match=r"no chunk covers 1 s"):
        merge_chunks(p[:2], chunks.take(np.array([0, 2])), np.array([3.0]), step_s=1.0)
    with pytest.raises(SedkitError, match=r"expected \(chunks, classes\)"):
        merge_chunks(p[:2], chunks, np.array([3.0]), step_s=1.0)
