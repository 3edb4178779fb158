"""Features of dense one-second chunks: once a clip against once a chunk, side by side.

200 clips of 5 s are the 8,200 unaugmented chunks that ESC-50's five mapped classes give. Once a clip means `sedkit
extract` to a file and a copy of every chunk out of it; once a chunk means the same front end on each chunk's waveform,
kept in memory, without a file. The published way (librosa, each chunk loaded from its file) is timed on a few clips.
The result is checked in the same run: equal on every frame whose window lies inside the chunk.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.chunks import ChunkTable, tagged_chunks
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Tags
from sedkit.dataio.store import FeatureFile
from sedkit.features.chunks import FeatureChunks, WaveChunks
from sedkit.features.extract import extract
from sedkit.features.logmel import LogMel

RUNS = 3
RATE, SECONDS = 44100, 5
COMPARISONS: Comparisons = {
    "chunks": ("once a clip", "once a chunk", 5.0),
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
#: What counts as equal.
TOLERANCE_DB = 1e-4
PEER_CLIPS, BLOCK = 4, 64


def make_set(folder: Path, clips: int) -> DataDir:
    """Write 5-s clips of noise with a slow swell, PCM16."""
    rng = np.random.default_rng(0)
    swell = 0.1 + 0.05 * np.sin(np.linspace(0, 9, RATE * SECONDS))
    names = tuple(f"{i}.wav" for i in range(clips))
    for name in names:
        write_wav(folder / "audio" / name, swell * rng.standard_normal(RATE * SECONDS), RATE)
    table = Clips(names, tuple(f"../audio/{name}" for name in names), np.full(clips, float(SECONDS)))
    return write_datadir(folder / "set", table, Vocabulary(("a",)))


def once_a_clip(data: DataDir, chunks: ChunkTable, out: Path) -> np.ndarray:
    """Extract, then copy every chunk out of the file; return the last block."""
    extract(data, FRONTEND, out)
    file = FeatureFile(out)
    sliced = FeatureChunks(file.features, np.arange(len(file)), chunks, FRONTEND.grid, FRONTEND.padding)
    for first in range(0, len(chunks), BLOCK):
        block = sliced.take(range(first, min(first + BLOCK, len(chunks))))
    return block


def once_a_chunk(data: DataDir, chunks: ChunkTable) -> np.ndarray:
    """Transform each chunk's waveform; return the last block."""
    waves = [read_audio(data.audio_path(i), RATE) for i in range(len(data.clips))]
    cut = WaveChunks(waves, chunks, RATE)
    alone = replace(FRONTEND, clip_s=chunks.chunk_s)
    for first in range(0, len(chunks), BLOCK):
        block = alone.transform(cut.take(range(first, min(first + BLOCK, len(chunks)))))
    return block


def published(data: DataDir, chunks: ChunkTable) -> None:
    """Load each chunk from its file and transform it with librosa (mel power of 2048/512, as published)."""
    import librosa

    for clip, start_s in zip(chunks.clip, chunks.start_s, strict=True):
        wave, _ = librosa.load(data.audio_path(int(clip)), sr=RATE, offset=float(start_s), duration=chunks.chunk_s)
        librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=2048, hop_length=512)


def run(form: Form) -> Report:
    """Compute the features of every chunk in each way."""
    clips = 8 if form.quick else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_set(folder, clips)
        tags = Tags(data.clips.filename, ("a",), np.ones((clips, 1), dtype=bool))
        chunks = tagged_chunks(tags, data.clips.duration_s)
        few = chunks.take(chunks.clip < (1 if form.quick else PEER_CLIPS))
        slow = "as published, from each chunk's file"
        seconds, blocks = in_turn(
            form,
            {
                "once a clip": lambda: once_a_clip(data, chunks, folder / "features.h5"),
                "once a chunk": lambda: once_a_chunk(data, chunks),
                slow: lambda: published(data, few),
            },
        )
    seconds[slow] *= len(chunks) / len(few)
    side = -(-FRONTEND.n_fft // 2 // FRONTEND.hop_samples) + 1
    inner = float(np.abs(blocks["once a clip"] - blocks["once a chunk"])[:, side:-side].max())
    return Report(
        title=f"{len(chunks)} chunks of 1 s, hop 0.1 s",
        seconds=seconds,
        equal={"chunks": inner <= TOLERANCE_DB},
        work={"chunks": len(chunks)},
        notes=(
            f"largest difference on frames {side} to {99 - side} of each chunk: {inner:.1e} dB",
            f"the published way is extrapolated from {len(few)} chunks; its features are others, so it is not compared",
        ),
    )
