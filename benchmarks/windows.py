"""Features of dense one-second windows: once a recording against once a window, side by side.

200 clips of 5 s are the 8,200 unaugmented windows that ESC-50's five mapped classes give. Once a recording means
`sedkit extract` to a file and a copy of every window out of it; once a window means the same front end on each window's
waveform, kept in memory, without a file. The published way (librosa, each window loaded from its file) is timed on a
few clips. The result is checked in the same run: equal on every frame whose transform lies inside the window.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks._ceiling import transforms
from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.windows import Windows, lay
from sedkit.features.extract import extract
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.sources import Source, StoredFeatures, open_waveforms

RUNS = 3
RATE, SECONDS = 44100, 5
COMPARISONS: Comparisons = {
    "windows": ("once a recording", "once a window", 5.0),
}
#: The recipe's front end: ten frames for each 0.1 s.
FRONTEND = LogMel(
    sample_rate=RATE,
    n_fft=2048,
    hop_samples=441,
    window_symmetric=False,
    n_mels=128,
    fmin_hz=0.0,
    fmax_hz=None,
    clip_s=None,
)
ALONE = replace(FRONTEND, edges="window")
#: What counts as equal.
TOLERANCE_DB = 1e-4
PEER_CLIPS, BLOCK = 4, 64
LEAST = "operations of transforms, a copy of every window"


def make_set(folder: Path, clips: int) -> DataDir:
    """Write 5-s clips of noise with a slow swell, PCM16."""
    rng = np.random.default_rng(0)
    swell = 0.1 + 0.05 * np.sin(np.linspace(0, 9, RATE * SECONDS))
    names = tuple(f"{i}.wav" for i in range(clips))
    for name in names:
        write_wav(folder / "audio" / name, swell * rng.standard_normal(RATE * SECONDS), RATE)
    table = Clips(names, tuple(f"../audio/{name}" for name in names), np.full(clips, float(SECONDS)))
    return write_datadir(folder / "set", table, Vocabulary(("a",)))


def windows_of(data: DataDir, front: LogMel) -> Windows:
    """Lay windows of a second every tenth of one, on the front end's own grid."""
    grid = front.window_grid
    n_frames = np.array([grid.n_frames(float(s)) for s in data.clips.duration_s])
    return lay(n_frames, grid, grid.n_frames(1.0), grid.n_frames(0.1))


def last_block(source: Source, windows: Windows) -> np.ndarray:
    """Ask for the features of every window; return the last block."""
    for first in range(0, len(windows), BLOCK):
        block = source.features(windows.take(np.arange(first, min(first + BLOCK, len(windows)))))
    return block


def once_a_recording(data: DataDir, out: Path) -> np.ndarray:
    """Extract, then copy every window out of the file."""
    extract(data, FRONTEND, out)
    return last_block(StoredFeatures.open(out, FRONTEND, data.clips.filename), windows_of(data, FRONTEND))


def once_a_window(data: DataDir) -> np.ndarray:
    """Transform each window's waveform."""
    clips = np.arange(len(data.clips))
    return last_block(open_waveforms(data, clips, ALONE, in_memory=True), windows_of(data, ALONE))


def published(data: DataDir, windows: Windows) -> None:
    """Load each window from its file and transform it with librosa (mel power of 2048/512, as published)."""
    import librosa

    for clip, onset_s in zip(windows.recording.tolist(), windows.onset_s().tolist(), strict=True):
        wave, _ = librosa.load(data.audio_path(clip), sr=RATE, offset=onset_s, duration=1.0)
        librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=2048, hop_length=512)


def at_least(data: DataDir, windows: Windows) -> Callable[[], None]:
    """Return what cannot be left out: each frame of a recording transformed once, each window copied once."""
    transform = transforms(FRONTEND, len(data.clips) * FRONTEND.frames_for(SECONDS))
    block = np.ones((BLOCK, windows.length, FRONTEND.n_bins), dtype=np.float32)
    copy = np.empty_like(block)

    def work() -> None:
        transform()
        for _ in range(0, len(windows), BLOCK):
            np.copyto(copy, block)

    return work


def run(form: Form) -> Report:
    """Compute the features of every window in each way."""
    clips = 8 if form.quick else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_set(folder, clips)
        windows = windows_of(data, FRONTEND)
        few = windows.take(windows.recording < (1 if form.quick else PEER_CLIPS))
        slow = "as published, from each window's file"
        seconds, blocks = in_turn(
            form,
            {
                "once a recording": lambda: once_a_recording(data, folder / "features.h5"),
                "once a window": lambda: once_a_window(data),
                slow: lambda: published(data, few),
                LEAST: at_least(data, windows),
            },
        )
    seconds[slow] *= len(windows) / len(few)
    side = -(-FRONTEND.n_fft // 2 // FRONTEND.hop_samples) + 1
    inner = float(np.abs(blocks["once a recording"] - blocks["once a window"])[:, side:-side].max())
    return Report(
        title=f"{len(windows)} windows of 1 s, hop 0.1 s",
        seconds=seconds,
        equal={"windows": inner <= TOLERANCE_DB},
        work={"windows": len(windows)},
        limits={"windows": LEAST},
        notes=(
            f"largest difference on frames {side} to {99 - side} of each window: {inner:.1e} dB",
            f"the published way is extrapolated from {len(few)} windows; its features are others: not compared",
        ),
    )
