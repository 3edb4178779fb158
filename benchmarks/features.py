"""WAV to log-mel to HDF5 on one core: `sedkit extract` against the usual way, side by side.

The result is checked in the same run: equal to librosa in double precision within 1e-4 dB in the upper 60 dB of a clip
and 0.1 dB anywhere; the fast resampler's difference is stated.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks._measure import Comparisons, Form, Report, in_turn
from benchmarks.peers import librosa_logmel
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.store import FeatureFile
from sedkit.features.extract import extract
from sedkit.features.frontends.logmel import LogMel

RUNS = 5
RATE, SECONDS = 44100, 10
COMPARISONS: Comparisons = {
    "features": ("sedkit extract", "the authors' librosa path", 2.0),
    "features.fast": ("sedkit extract --resampler fast", "the authors' librosa path", 3.5),
    "features.best": ("sedkit extract", "librosa at its best", None),
}
#: Largest differences that count as equal (dB): in the upper 60 dB of a clip, and anywhere; of the fast resampler, in
#: the upper 60 dB away from the ends (docs/features.md).
TOLERANCE_DB = (1e-4, 0.1)
FAST_TOLERANCE_DB = 0.05


def make_set(folder: Path, clips: int) -> DataDir:
    """Write 10-s clips of pink noise and chirps, PCM16 at 44.1 kHz."""
    rng = np.random.default_rng(0)
    samples = RATE * SECONDS
    t = np.arange(samples) / RATE
    for i in range(clips):
        pink = np.fft.irfft(
            np.fft.rfft(rng.standard_normal(samples)) / np.sqrt(np.arange(samples // 2 + 1) + 1), samples
        )
        chirp = np.sin(2 * np.pi * (100 * t + rng.uniform(100, 900) * t**2 / 2))
        write_wav(folder / "audio" / f"{i}.wav", 0.2 * pink / np.abs(pink).max() + 0.1 * chirp, RATE)
    names = tuple(f"{i}.wav" for i in range(clips))
    table = Clips(names, tuple(f"../audio/{name}" for name in names), np.full(clips, float(SECONDS)))
    return write_datadir(folder / "set", table, Vocabulary(("a",)))


def errors_db(computed: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Largest difference in cells within 60 dB of each clip's maximum, and anywhere."""
    difference = np.abs(computed - expected)
    loud = expected > expected.max(axis=(1, 2), keepdims=True) - 60
    return float(difference[loud].max()), float(difference.max())


def run(form: Form) -> Report:
    """Extract the features of the same clips in each way."""
    clips, frontend = 4 if form.quick else 64, LogMel()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_set(folder, clips)
        paths = [data.audio_path(i) for i in range(clips)]
        seconds, _ = in_turn(
            form,
            {
                "the authors' librosa path": lambda: librosa_logmel.authors(paths, folder / "authors.h5"),
                "librosa at its best": lambda: librosa_logmel.best(paths, folder / "best.h5"),
                "sedkit extract": lambda: extract(data, frontend, folder / "exact.h5"),
                "sedkit extract --resampler fast": lambda: extract(
                    data, frontend, folder / "fast.h5", resampler="fast"
                ),
                # Nothing is kept: memory that lies around changes the others' time.
                "of which soxr alone": lambda: [read_audio(path, 32000) for path in paths] and None,
            },
        )
        bank = librosa_logmel.mel_bank()
        expected = np.stack([librosa_logmel.logmel(path, bank) for path in paths[:8]])
        exact = errors_db(FeatureFile(folder / "exact.h5").features[:8], expected)
        fast = FeatureFile(folder / "fast.h5").features[:8]
        inner, ends = errors_db(fast[:, 3:-3], expected[:, 3:-3]), errors_db(fast, expected)
    same = exact[0] <= TOLERANCE_DB[0] and exact[1] <= TOLERANCE_DB[1]
    return Report(
        title=f"wav -> log-mel -> HDF5: {clips} clips of {SECONDS} s",
        seconds=seconds,
        equal={"features": same, "features.best": same, "features.fast": inner[0] <= FAST_TOLERANCE_DB},
        work={"clips": clips},
        notes=(
            f"exact against librosa in double precision: {exact[0]:.1e} dB in the upper 60 dB, {exact[1]:.1e} anywhere",
            f"fast: {inner[0]:.1e} dB in the upper 60 dB, {ends[0]:.1e} there with the three frames at each end",
        ),
    )
