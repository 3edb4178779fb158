"""Features of a recording that passes by in blocks: those of the whole, and never more of it than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.windows import lay
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.frontends.passt_mel import PasstMel
from sedkit.features.passing import Passing, frames_of
from sedkit.features.sources import StoredFeatures, Waveforms

SMALL = LogMel(sample_rate=8000, n_fft=256, hop_samples=80, n_mels=16, fmin_hz=0.0, fmax_hz=None, clip_s=None)
FRONT_ENDS = {
    "centred": SMALL,
    "clips of ten seconds": replace(SMALL, clip_s=10.0),
    "zeros at the ends": replace(SMALL, pad_mode="constant", end_frame=True),
    "not centred": replace(SMALL, centre=False),
    "odd transform": replace(SMALL, n_fft=255, hop_samples=77),
    "preemphasis": PasstMel(
        sample_rate=8000, n_fft=256, win_length=200, hop_samples=80, n_mels=16, fmax_hz=None, clip_s=None
    ),
}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def blocks_of(waveform: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (waveform[first : first + size] for first in range(0, len(waveform), size))


@pytest.mark.parametrize("name", FRONT_ENDS)
@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 200_000), size=st.integers(700, 60_000))
def test_features_in_blocks_are_those_of_the_whole(name: str, samples: int, size: int) -> None:
    frontend, waveform = FRONT_ENDS[name], noise(samples)
    whole = frontend.transform(waveform[None])[0]
    passing = np.concatenate(list(frames_of(blocks_of(waveform, size), samples, frontend)))
    assert passing.shape == whole.shape
    np.testing.assert_allclose(passing, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [17, 8000, 12345, 163_333])
@pytest.mark.parametrize("edges", ["recording", "window"])
@pytest.mark.parametrize("name", ["centred", "preemphasis"])
def test_windows_are_those_of_a_recording_in_memory(samples: int, edges: str, name: str) -> None:
    frontend, waveform = replace(FRONT_ENDS[name], edges=edges), noise(samples)
    duration_s = np.array([samples / 8000])
    if edges == "recording":
        n_frames = np.array([frontend.valid_frames(duration_s[0])])
        memory = StoredFeatures(frontend.transform(waveform[None]), np.zeros(1, np.int64), n_frames, frontend)
        length, hop = 100, 50
    else:
        memory = Waveforms([waveform], duration_s, frontend)
        length, hop = 8000, 4000
    passing = Passing(blocks_of(waveform, 3000), samples, frontend)
    assert passing.n_frames.tolist() == memory.n_frames.tolist() and passing.duration_s == duration_s[0]
    windows = lay(memory.n_frames, frontend.window_grid, length, hop, to_end=True)
    for first in range(0, len(windows), 4):
        batch = windows.take(np.arange(first, min(first + 4, len(windows))))
        np.testing.assert_allclose(passing.features(batch), memory.features(batch), rtol=0, atol=1e-5)


def test_no_more_is_read_than_the_windows_need() -> None:
    """An hour at 8 kHz in blocks of 4096 samples: windows of a second let at most some seconds more come."""
    samples, read, most = 3600 * 8000, 0, 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal read
        for _ in range(0, samples, 4096):
            read += 4096
            yield np.zeros(4096, np.float32)

    passing = Passing(blocks(), samples, SMALL)
    windows = lay(passing.n_frames, SMALL.grid, 100, 50, to_end=True)
    for first in range(0, 1600, 16):
        batch = windows.take(np.arange(first, first + 16))
        passing.features(batch)
        most = max(most, read - (int(batch.first[-1]) + 100) * 80)
        assert passing._kept.shape[0] < 1300
    # What a step of the front end and the ends of a recording hold back.
    assert 0 < most < 1024 * 80 + 3 * 4096


def test_windows_that_are_behind_are_refused() -> None:
    passing = Passing([noise(40_000)], 40_000, SMALL)
    windows = lay(passing.n_frames, SMALL.grid, 100, 50, to_end=True)
    passing.features(windows.take(np.array([5, 6])))
    with pytest.raises(SedkitError, match="is behind, expected rising times"):
        passing.features(windows.take(np.array([4])))
    with pytest.raises(SedkitError, match="expected one in memory"):
        passing.power(windows)
