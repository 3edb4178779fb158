"""Windows of recordings to scores: one function for data sets, recordings of any length and arrays.

A recording of at most one window is scored as it is. A longer one is cut into windows that overlap; the scores of a
window's frames count most in its middle, where the network sees both sides, and the mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import soxr
from numpy.typing import NDArray

from sedkit.core.parallel import progress
from sedkit.dataio.scores import Scores, joined
from sedkit.dataio.windows import Ints, Windows
from sedkit.features.frontends import FrontEnd
from sedkit.features.passing import Passing
from sedkit.features.sources import Source, embeddings_of
from sedkit.inference.clips import Clips
from sedkit.inference.predictor import Floats, Predictor
from sedkit.inference.tiling import WHOLE, Accumulated, Tiling


def predict(
    predictor: Predictor,
    source: Source,
    filenames: Sequence[str],
    duration_s: NDArray[np.float64],
    windows: Windows,
    tiling: Tiling,
    batch_size: int = 16,
    begin: Ints | None = None,
) -> Scores:
    """Score recordings.

    Parameters
    ----------
    predictor
        The network.
    source
        Of features of the recordings.
    filenames, duration_s
        Of each recording.
    windows, tiling
        What is scored, sorted by recording.
    batch_size
        Windows at a time.
    begin
        (recordings,) frame at which the scores of each recording begin; None: its first.

    Returns
    -------
    Scores of each recording that has windows, to the last frame that the network gives it; its clip scores are the
    maximum over its windows. Frames beyond are 0.
    """
    scored, rows = np.unique(windows.recording, return_inverse=True)
    unit = tiling.unit
    grid = windows.grid.pooled(unit)
    first = (windows.first if begin is None else windows.first - begin[windows.recording]) // unit
    covered = -(-windows.length // unit) + int(first.max(initial=0))
    frames = Accumulated(rows, covered, (len(predictor.labels),))
    clipwise = np.zeros((len(scored), len(predictor.labels)), dtype=np.float32)
    with progress(total=len(windows), description="predict", unit="window") as bar:
        for place in range(0, len(windows), batch_size):
            at = np.arange(place, min(place + batch_size, len(windows)))
            batch = windows.take(at)
            features = source.features(batch)
            whole = np.full(len(batch), features.shape[1], dtype=np.int64)
            real = batch.valid if source.frontend.sliceable else whole
            clip, frame = predictor.score(features, real, embeddings_of(source, batch))
            np.maximum.at(clipwise, rows[at], clip)
            frames.add(rows[at], first[at], frame, tiling.cover // unit)
            bar.update(len(batch))
    # A window may end with frames that are too few for one of the network's.
    n_out = np.count_nonzero(frames.weights, axis=1)
    duration_s = duration_s[scored]
    n_out = np.minimum(n_out, [max(1, grid.n_frames(float(s))) for s in duration_s]).astype(np.int64)
    framewise = frames.means()[:, : n_out.max(initial=1)].astype(np.float32, copy=False)
    framewise[np.arange(framewise.shape[1])[None, :] >= n_out[:, None]] = 0.0
    return Scores(
        framewise=framewise,
        n_frames=n_out,
        duration_s=duration_s,
        frame_edges_s=grid.edges_s(framewise.shape[1]),
        filenames=tuple(filenames[i] for i in scored),
        labels=predictor.labels.labels,
        clipwise=clipwise,
        producer=predictor.producer,
    )


def predict_clips(
    predictor: Predictor,
    clips: Clips,
    window_s: float | str | None = None,
    hop_s: float | None = None,
    batch_size: int = 16,
    rows: range | None = None,
) -> Scores:
    """Score the clips of a features file or a data dir.

    Parameters
    ----------
    clips
        As `sedkit.inference.clips.open_clips` gives them.
    window_s, hop_s
        As `Tiling.of` takes them; of clips that are windows of recordings, those windows.
    rows
        Which of the clips; None: all.
    """
    source, rows = clips.source, range(len(clips.filenames)) if rows is None else rows
    window_s, begin = (window_s, None) if clips.windows is None else (clips.windows.length_s, clips.windows.first)
    scores = []
    # What a whole recording is given must not depend on the others: those of one length are scored together.
    lengths = np.unique(source.n_frames[rows.start : rows.stop]).tolist() if window_s == WHOLE else [1]
    for n_frames in lengths:
        tiling = Tiling.of(predictor, n_frames, window_s, hop_s)
        laid = tiling.windows(source, predictor.frontend) if clips.windows is None else clips.windows
        chosen = (laid.recording >= rows.start) & (laid.recording < rows.stop)
        if window_s == WHOLE:
            chosen &= source.n_frames[laid.recording] == n_frames
        windows = replace(laid, length=tiling.length).take(chosen)
        of = (source, clips.filenames, clips.duration_s)
        scores.append(predict(predictor, *of, windows, tiling, batch_size, begin))
    return joined(scores).keep_clips(clips.filenames[rows.start : rows.stop])


def predict_waveforms(
    predictor: Predictor,
    waveforms: Iterable[tuple[str, Floats]],
    window_s: float | str | None = None,
    hop_s: float | None = None,
    batch_size: int = 16,
) -> Scores:
    """Score recordings in memory, one after the other.

    Parameters
    ----------
    waveforms
        Name and samples (full scale 1, at the front end's rate) of each; a generator is read one at a time.
    window_s, hop_s
        As `Tiling.of` takes them.
    """
    options = (window_s, hop_s, batch_size)
    return joined(
        [predict_passing(predictor, name, source_of(predictor, waveform), *options) for name, waveform in waveforms]
    )


def predict_passing(
    predictor: Predictor,
    name: str,
    source: Passing,
    window_s: float | str | None = None,
    hop_s: float | None = None,
    batch_size: int = 16,
) -> Scores:
    """Score a recording that passes by, of any length.

    Parameters
    ----------
    name
        Of the recording.
    source
        Of the features of its windows.
    window_s, hop_s
        As `Tiling.of` takes them.
    """
    tiling = Tiling.of(predictor, int(source.n_frames[0]), window_s, hop_s)
    windows = tiling.windows(source, predictor.frontend)
    return predict(predictor, source, [name], np.array([source.duration_s]), windows, tiling, batch_size)


def source_of(predictor: Predictor, waveform: Floats) -> Passing:
    """Return the features of one recording in memory (samples,), at the rate of the predictor's front end."""
    rate = predictor.frontend.sample_rate

    def passing(frontend: FrontEnd) -> Passing:
        other = frontend.sample_rate
        samples = waveform if other == rate else soxr.resample(waveform, rate, other, "HQ")
        return Passing([samples], len(samples), frontend)

    return with_embeddings(predictor, passing)


def with_embeddings(predictor: Predictor, passing: Callable[[FrontEnd], Passing]) -> Passing:
    """Return a recording's features in a predictor's front end, with those that its network takes beside them."""
    source = passing(predictor.frontend)
    source.embeddings = {name: passing(frontend) for name, frontend in predictor.embeddings.items()}
    return source
