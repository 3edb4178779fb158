"""Recordings read block by block: what is read at once, in every format, and never much of it held."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedkit.core.errors import SedkitError
from sedkit.dataio.audio import audio_info, read_audio, read_blocks, resampled_length

#: Formats and sample formats that libsndfile writes.
KINDS = [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", None)]


@pytest.mark.parametrize(("ending", "subtype"), KINDS)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_blocks_are_the_recording(ending: str, subtype: str | None, rate: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    x = np.random.default_rng(0).normal(0, 0.1, (700_001, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", rate, 2, subtype=subtype) as file:
        for first in range(0, len(x), 50_000):  # libsndfile's Vorbis writer runs out of stack where it gets all at once
            file.write(x[first : first + 50_000])
    info = audio_info(path)
    for wanted in (None, 16000, 32000):
        whole, blocks = read_audio(path, wanted), list(read_blocks(path, wanted))
        # The decoder of MP3 rounds by where it is asked to begin.
        np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=0, atol=2e-7 if ending == "mp3" else 0)
        assert max(map(len, blocks)) < 700_000
        assert len(whole) == resampled_length(info.frames, info.sample_rate, wanted or rate)


@pytest.mark.parametrize("rates", [(44100, 32000), (48000, 16000), (8000, 44100), (22050, 32000), (96000, 8000)])
def test_lengths_are_soxrs(rates: tuple[int, int]) -> None:
    import soxr

    for samples in (1, 2, 3, 7, 100, 333, 4411, 44100, 100_003):
        x = np.zeros(samples, np.float32)
        assert len(soxr.resample(x, *rates, quality="HQ")) == resampled_length(samples, *rates)


def test_a_recording_that_ends_early_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(400_000), 16000)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:600])
    with pytest.raises(SedkitError, match=r"cut.flac: (cut off|not audio that can be read)"):
        list(read_blocks(tmp_path / "cut.flac", 8000))
    soundfile.write(tmp_path / "nan.wav", np.array([0.0] * 300_000 + [np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(SedkitError, match="nan.wav: holds NaN"):
        list(read_blocks(tmp_path / "nan.wav"))
    with pytest.raises(SedkitError, match="none.wav: no such file"):
        list(read_blocks(tmp_path / "none.wav"))


def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    """What is held at a time, as Python's allocator counts it."""
    peaks = []
    for minutes in (1, 20):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 8000, 2, subtype="PCM_16") as file:
            for _ in range(minutes):
                file.write(np.zeros((480_000, 2), np.int16))
        tracemalloc.start()
        assert sum(map(len, read_blocks(path, 16000))) == minutes * 960_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 30e6
