"""WAV to log-mel to HDF5 on one core: `sedkit extract` against the usual way, side by side.

The result is checked in the same run: equal to librosa in double precision within 1e-4 dB in the upper 60 dB of a clip
and 0.1 dB anywhere; the fast resampler's difference is stated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soxr
from joblib.externals.loky import get_reusable_executor

from benchmarks._ceiling import operations, transforms
from benchmarks._measure import Comparisons, Form, Report, in_turn
from benchmarks.peers import kaldi_logmel, librosa_logmel
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
    "features.two_processes": ("sedkit extract --jobs 2", "sedkit extract --jobs 1", None),
}
#: Largest differences that count as equal (dB): in the upper 60 dB of a clip, and anywhere; of the fast resampler, in
#: the upper 60 dB away from the ends (docs/features.md).
TOLERANCE_DB = (1e-4, 0.1)
FAST_TOLERANCE_DB = 0.05
#: Multiplications of the fast resampler for each sample that comes out (sedkit/dataio/resample.py).
TAPS = 72
KALDI = "kaldi-native-fbank"
LEAST = "soxr, operations of transforms, a write"
LEAST_FAST = "operations of 72 taps and transforms, a write"
#: Clips that are enough for two processes.
SHARED_CLIPS = 256


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


def repeated(data: DataDir, clips: int, out: Path) -> DataDir:
    """Write a set of so many clips whose recordings are those of another set, again and again."""
    names = tuple(f"{i:05d}.wav" for i in range(clips))
    audio = tuple(str(data.audio_path(i % len(data.clips)).resolve()) for i in range(clips))
    return write_datadir(out, Clips(names, audio, np.full(clips, float(SECONDS))), data.labels)


def at_least(frontend: LogMel, clips: int, fast: bool, out: Path) -> Callable[[], None]:
    """Return what no extraction of so many clips can leave out: resampling, operations of transforms, one write."""
    rng, frames = np.random.default_rng(0), frontend.frames_for(SECONDS)
    waveform = rng.standard_normal(RATE * SECONDS).astype(np.float32)
    transform = transforms(frontend, clips * frames, np.float32 if fast else np.float64)
    filters = operations(2.0 * clips * SECONDS * frontend.sample_rate * TAPS, np.float32)
    features = rng.standard_normal((clips, frames, frontend.n_bins)).astype(np.float32)

    def work() -> None:
        if fast:
            filters()
        else:
            for _ in range(clips):
                soxr.resample(waveform, RATE, frontend.sample_rate)
        transform()
        with open(out, "wb") as file:
            file.write(features.data)

    return work


def in_two_processes(form: Form, data: DataDir, folder: Path) -> tuple[dict[str, np.ndarray], bool]:
    """Return the seconds of one process and of two, which have started already, and whether both make the same."""
    shared = repeated(data, SHARED_CLIPS, folder / "shared")

    def files(jobs: int) -> Path:
        out = folder / f"jobs{jobs}.h5"
        extract(shared, LogMel(), out, jobs=jobs)
        return out

    names = {f"sedkit extract --jobs {jobs}": partial(files, jobs) for jobs in (1, 2)}
    seconds, made = in_turn(form, names, processes=True)
    # Idle ones would stay for minutes, and the end of this process waits for them.
    get_reusable_executor().shutdown(wait=True)
    one, two = (FeatureFile(path).features for path in made.values())
    scale = len(data.clips) / SHARED_CLIPS
    return {name: values * scale for name, values in seconds.items()}, bool(np.array_equal(one, two))


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
        contestants: dict[str, Callable[[], object]] = {
            "the authors' librosa path": lambda: librosa_logmel.authors(paths, folder / "authors.h5"),
            "librosa at its best": lambda: librosa_logmel.best(paths, folder / "best.h5"),
            "sedkit extract": lambda: extract(data, frontend, folder / "exact.h5"),
            "sedkit extract --resampler fast": lambda: extract(data, frontend, folder / "fast.h5", resampler="fast"),
            # Nothing is kept: memory that lies around changes the others' time.
            "of which soxr alone": lambda: [read_audio(path, 32000) for path in paths] and None,
            LEAST: at_least(frontend, clips, False, folder / "least"),
            LEAST_FAST: at_least(frontend, clips, True, folder / "least"),
        }
        notes = []
        if kaldi_logmel.installed():
            contestants[KALDI] = lambda: kaldi_logmel.extract(paths, folder / "kaldi.h5")
            notes.append(f"{KALDI}: frames half a hop later, natural logarithm, single precision: not compared")
        else:
            notes.append(f"{KALDI}: not installed, not timed")
        seconds, _ = in_turn(form, contestants)
        shared, alike = in_two_processes(form, data, folder)
        bank = librosa_logmel.mel_bank()
        expected = np.stack([librosa_logmel.logmel(path, bank) for path in paths[:8]])
        exact = errors_db(FeatureFile(folder / "exact.h5").features[:8], expected)
        fast = FeatureFile(folder / "fast.h5").features[:8]
        inner, ends = errors_db(fast[:, 3:-3], expected[:, 3:-3]), errors_db(fast, expected)
    same = exact[0] <= TOLERANCE_DB[0] and exact[1] <= TOLERANCE_DB[1]
    return Report(
        title=f"wav -> log-mel -> HDF5: {clips} clips of {SECONDS} s",
        seconds=seconds | shared,
        equal={
            "features": same,
            "features.fast": inner[0] <= FAST_TOLERANCE_DB,
            "features.best": same,
            "features.two_processes": alike,
        },
        work={"clips": clips},
        notes=(
            f"exact against librosa in double precision: {exact[0]:.1e} dB in the upper 60 dB, {exact[1]:.1e} anywhere",
            f"fast: {inner[0]:.1e} dB in the upper 60 dB, {ends[0]:.1e} there with the three frames at each end",
            f"--jobs: clock on the wall, {SHARED_CLIPS} clips, processes that have started; given as of {clips} clips",
            *notes,
        ),
        limits={"features": LEAST, "features.best": LEAST, "features.fast": LEAST_FAST},
    )
