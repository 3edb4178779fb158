"""Scores of networks that were trained on chunks: clips are cut into chunks, scored, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.parallel import progress
from sedkit.dataio.audio import read_audio
from sedkit.dataio.chunks import ChunkTable, covering_starts, published_chunks
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.features.chunk_sets import cut, drop_silence
from sedkit.features.chunk_settings import PER_CHUNK, ChunkSettings
from sedkit.features.chunks import FeatureChunks, WaveChunks, chunk_frontend, clip_power, wave_power
from sedkit.features.frontends import FrontEnd, open_features
from sedkit.inference.predict import Predictor
from sedkit.inference.sources import features_path
from sedkit.postprocessing.chunks import merge_chunks

Floats = NDArray[np.float32]
Waves = Sequence[Floats]


class Reader(Protocol):
    """Gives the features of chunks by position, (n, chunk_frames, bins)."""

    def take(self, positions: NDArray[np.int64]) -> Floats: ...


class Recordings(Sequence[Floats]):
    """The waveforms of files at one rate, each read when it is asked for; the last one is kept."""

    def __init__(self, paths: Sequence[Path], sample_rate: int) -> None:
        self._paths = paths
        self._read = lru_cache(1)(lambda path: read_audio(path, sample_rate))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Floats:  # type: ignore[override]
        return self._read(self._paths[index])


class _Padded(Sequence[Floats]):
    def __init__(self, waves: Waves, pad: Callable[[Floats], Floats]) -> None:
        self._waves, self._pad = waves, lru_cache(1)(lambda index: pad(waves[index]))

    def __len__(self) -> int:
        return len(self._waves)

    def __getitem__(self, index: int) -> Floats:  # type: ignore[override]
        return self._pad(index)


class WaveReader:
    """Computes the features of chunks from waveforms.

    Parameters
    ----------
    waves
        One waveform a clip of the table, at the front end's rate.
    chunks
        Where the chunks lie.
    frontend
        The network's.
    """

    def __init__(self, waves: Waves, chunks: ChunkTable, frontend: FrontEnd) -> None:
        self._frontend = chunk_frontend(frontend, chunks.chunk_s)
        clips = _Padded(waves, self._frontend.pad)
        self._chunks = WaveChunks(clips, chunks, frontend.sample_rate, self._frontend.samples)

    def take(self, positions: NDArray[np.int64]) -> Floats:
        """Return the features of some chunks, (n, chunk_frames, bins) float32."""
        return self._frontend.transform(self._chunks.take(positions), "double")


def score_chunks(predictor: Predictor, reader: Reader, n_chunks: int, batch_size: int = 64) -> Floats:
    """Return the clip scores of chunks, (chunks, classes) float32."""
    out = np.zeros((n_chunks, len(predictor.labels)), dtype=np.float32)
    with progress(total=n_chunks, description="predict", unit="chunk") as bar:
        for first in range(0, n_chunks, batch_size):
            part = np.arange(first, min(first + batch_size, n_chunks))
            features = reader.take(part)
            out[part], _ = predictor.score(features, np.full(len(part), features.shape[1], dtype=np.int64))
            bar.update(len(part))
    return out


def covering(
    filenames: Sequence[str], duration_s: NDArray[np.float64], labels: Sequence[str], chunk_s: float, hop_s: float
) -> ChunkTable:
    """Return the chunks, `hop_s` apart, that cover clips to their ends."""
    starts = [covering_starts(float(d), chunk_s, hop_s) for d in duration_s]
    clip = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
    present = np.zeros((len(clip), len(labels)), dtype=bool)
    return ChunkTable(tuple(filenames), tuple(labels), clip, np.concatenate([*starts, np.zeros(0)]), present, chunk_s)


def predict_set(
    predictor: Predictor, data: DataDir, hop_s: float, folds: Sequence[str] | None = None, batch_size: int = 64
) -> Scores:
    """Score the clips of a data dir by overlap-add of their chunks.

    Parameters
    ----------
    predictor
        Of a network trained on chunks.
    data
        With features of the front end beside it, unless that looks at each chunk on its own.
    hop_s
        From chunk to chunk, and length of a frame of the result: the chunk's length lays them side by side.
    folds
        Only these.
    """
    chosen = data.select(folds)
    if not len(chosen):
        raise SedkitError(f"{data.path}: no clip to score")
    names = tuple(data.clips.filename[i] for i in chosen)
    duration_s = data.clips.duration_s[chosen]
    table = covering(names, duration_s, predictor.labels.labels, chunk_s_of(predictor), hop_s)
    probability = score_chunks(predictor, _reader(predictor, data, chosen, table)[0], len(table), batch_size)
    return merge_chunks(probability, table, duration_s, hop_s, predictor.producer)


def chunk_s_of(predictor: Predictor) -> float:
    """Return the length of the chunks that a network was trained on, seconds; an error where it saw whole clips."""
    if predictor.chunks is None:
        raise UsageError("this network was trained on whole clips, not on chunks")
    return float(predictor.chunks["chunk_s"])


def _reader(
    predictor: Predictor, data: DataDir, clips: NDArray[np.int64], table: ChunkTable
) -> tuple[Reader, NDArray[np.float64]]:
    """Return what reads the chunks of a set, and their power."""
    frontend = predictor.frontend
    if frontend.name in PER_CHUNK:
        waves = Recordings([data.audio_path(int(i)) for i in clips], frontend.sample_rate)
        return WaveReader(waves, table, frontend), wave_power(WaveChunks(waves, table, frontend.sample_rate))
    path = features_path(data.path, frontend)
    file = open_features(path, frontend)
    at = {name: i for i, name in enumerate(file.filenames)}
    absent = [name for name in table.filenames if name not in at]
    if absent:
        raise SedkitError(f"{path}: lacks {len(absent)} clips, such as {absent[0]}; run `sedkit extract` again")
    rows = np.array([at[name] for name in table.filenames], dtype=np.int64)
    chunks = FeatureChunks(file.features, rows, table, frontend.grid, frontend.padding)
    return chunks, clip_power(file.features, chunks, file.scale)


def predict_dense(
    predictor: Predictor, data: DataDir, folds: Sequence[str] | None = None, batch_size: int = 64
) -> tuple[Scores, Events]:
    """Score the chunks that training and selection would take from a set, each as a clip of its own.

    Returns
    -------
    the scores, and what is true of the chunks: events as long as they
    """
    settings = typed(dict(predictor.chunks or {}), ChunkSettings, "the checkpoint's data section")
    table, clips, _ = cut(data, settings, folds, predictor.labels)
    _, power = _reader(predictor, data, clips, table)
    kept = drop_silence(data.path.name, table, power, settings)
    if not len(kept):
        raise SedkitError(f"{data.path}: no chunk to score")
    return _as_clips(predictor, kept, _reader(predictor, data, clips, kept)[0], batch_size)


def predict_published(predictor: Predictor, data: DataDir, batch_size: int = 64) -> tuple[Scores, Events]:
    """Score the event-anchored chunks of a set (`sedkit.dataio.chunks.published_chunks`), each as a clip of its own.

    Returns
    -------
    the scores, and what the publication takes for true of the chunks
    """
    if not data.has_strong:
        raise UsageError(f"{data.path}: has no events, to which --chunks published anchors its chunks")
    table = published_chunks(data.strong(), predictor.labels.labels, chunk_s_of(predictor))
    if not len(table):
        raise SedkitError(f"{data.path}: fewer than two events of the network's classes, no published chunk")
    waves = Recordings([data.audio_path(i) for i in range(len(data.clips))], predictor.frontend.sample_rate)
    return _as_clips(predictor, table, WaveReader(waves, table, predictor.frontend), batch_size)


def _as_clips(predictor: Predictor, table: ChunkTable, reader: Reader, batch_size: int) -> tuple[Scores, Events]:
    probability = score_chunks(predictor, reader, len(table), batch_size)
    names, chunk_s = table.names(), table.chunk_s
    scores = Scores(
        framewise=probability[:, None, :],
        n_frames=np.ones(len(names), dtype=np.int64),
        duration_s=np.full(len(names), chunk_s),
        frame_edges_s=np.array([0.0, chunk_s]),
        filenames=names,
        labels=table.labels,
        clipwise=probability,
        producer=predictor.producer,
    )
    rows: list[tuple[str, Any, Any, Any]] = []
    for name, present in zip(names, table.present, strict=True):
        rows.append((name, None, None, None))
        rows += [(name, 0.0, chunk_s, table.labels[c]) for c in np.flatnonzero(present)]
    return scores, Events.from_rows(rows, table.labels)


def detect_chunks(
    predictor: Predictor,
    waveforms: Iterable[tuple[str, Floats]],
    frontend: FrontEnd,
    hop_s: float | None = None,
    batch_size: int = 64,
) -> Scores:
    """Score recordings of any length by overlap-add of their chunks.

    Parameters
    ----------
    waveforms
        Name and samples, at the front end's rate, of each recording.
    frontend
        The network's, for recordings of any length.
    hop_s
        From chunk to chunk; by default a tenth of a chunk.
    """
    chunk_s = chunk_s_of(predictor)
    hop_s = chunk_s / 10 if hop_s is None else hop_s
    names, duration_s, probability = [], [], []
    for name, wave in waveforms:
        names.append(name)
        duration_s.append(len(wave) / frontend.sample_rate)
        table = covering([name], np.array(duration_s[-1:]), predictor.labels.labels, chunk_s, hop_s)
        if frontend.name in PER_CHUNK:
            reader: Reader = WaveReader([wave], table, frontend)
        else:
            row = np.zeros(1, dtype=np.int64)
            features = frontend.transform(wave[None])
            reader = FeatureChunks(features, row, table, frontend.grid, frontend.padding)
        probability.append(score_chunks(predictor, reader, len(table), batch_size))
    table = covering(names, np.array(duration_s), predictor.labels.labels, chunk_s, hop_s)
    return merge_chunks(np.concatenate(probability), table, np.array(duration_s), hop_s, predictor.producer)
