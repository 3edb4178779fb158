"""What is heard and seen of a clip in a page: compressed sound, a spectrogram of some kilobytes, quantised curves."""

from __future__ import annotations

import base64
import io
import math
import struct
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.scores import Scores
from sedkit.features.frontends import FrontEnd
from sedkit.features.frontends.logmel import LogMel
from sedkit.report.panels import LEVELS, octaves

#: Of sounds in pages, Hz; where only uncompressed sound can be written, half of it.
LISTENING_HZ = 16000
#: libsndfile's Vorbis encoder fails on long blocks.
_BLOCK = 16384
_RANGE_DB = 80.0
#: Shades of a spectrogram: more are not told apart, and less compress better.
_SHADES = 64
_MOST_COLUMNS, _MOST_POINTS = 640, 256
#: A class has a curve in a clip where its score is that part of the scale, or where it has events.
HIGH = 0.3
_MOST_CURVES = 10
#: Decibels in a natural logarithm of magnitude.
_LN_DB = 20 / np.log(10)

Floats = NDArray[np.float32]


class Sound(NamedTuple):
    """A sound as a page plays it: its type, and the file."""

    mime: str
    content: bytes


def usual_frontend(sample_rate: int = LISTENING_HZ) -> FrontEnd:
    """Return a front end for spectrograms of recordings, where no system's is known."""
    return LogMel(sample_rate=sample_rate, n_fft=1024, hop_samples=320, n_mels=64, fmin_hz=50.0, fmax_hz=None)


@cache
def _vorbis() -> bool:
    import soundfile

    return "VORBIS" in soundfile.available_subtypes("OGG") if "OGG" in soundfile.available_formats() else False


def sound(waveform: Floats, sample_rate: int, vorbis: bool | None = None) -> Sound:
    """Return a waveform (samples,) as Ogg Vorbis where libsndfile writes it (`vorbis` None), else as 16-bit WAV."""
    import soundfile
    import soxr

    vorbis = _vorbis() if vorbis is None else vorbis
    rate = min(sample_rate, LISTENING_HZ if vorbis else LISTENING_HZ // 2)
    heard = waveform if rate == sample_rate else soxr.resample(waveform, sample_rate, rate, quality="HQ")
    heard, file = np.clip(heard, -1.0, 1.0), io.BytesIO()
    form = {"format": "OGG", "subtype": "VORBIS"} if vorbis else {"format": "WAV", "subtype": "PCM_16"}
    with soundfile.SoundFile(file, "w", rate, 1, **form) as out:
        for first in range(0, len(heard), _BLOCK):
            out.write(heard[first : first + _BLOCK])
    return Sound("audio/ogg" if vorbis else "audio/wav", file.getvalue())


def shades(frontend: FrontEnd, waveform: Floats) -> NDArray[np.uint8]:
    """Return the log spectrogram of a waveform as shades of an image, (bins, columns), the highest bin first.

    The loudest bin is the lightest, what lies 80 dB below it, or is of the quietest 5 %, the darkest. Columns are
    frames of the recording; of more than 640 frames, each is the loudest of several.
    """
    features = frontend.transform(waveform[None])[0, : frontend.valid_frames(len(waveform) / frontend.sample_rate)]
    levels = _decibels(features, frontend.scale)
    every = -(-len(levels) // _MOST_COLUMNS)
    short = -len(levels) % every
    levels = np.pad(levels, ((0, short), (0, 0)), mode="edge").reshape(-1, every, levels.shape[1]).max(axis=1)
    loudest = float(levels.max())
    lowest = max(loudest - _RANGE_DB, float(np.percentile(levels, 5)))
    share = np.clip((levels - lowest) / max(loudest - lowest, 1e-6), 0.0, 1.0)
    return np.ascontiguousarray((share * (_SHADES - 1)).round().astype(np.uint8).T[::-1])


def _decibels(features: Floats, scale: str) -> Floats:
    if scale == "power":
        return np.asarray(10 * np.log10(np.maximum(features, 1e-10)), dtype=np.float32)
    return features * np.float32(_LN_DB) if scale == "ln_magnitude" else features


@cache
def _palette() -> bytes:
    import matplotlib

    colours = matplotlib.colormaps[LEVELS](np.linspace(0.0, 1.0, _SHADES))[:, :3]
    return bytes((colours * 255).round().astype(np.uint8).tobytes())


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image of shades (rows, columns), each below 64, as a PNG with a palette."""
    rows, columns = image.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), image], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", _palette()), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class Curves(NamedTuple):
    """Frame scores of a clip as a page draws them.

    Attributes
    ----------
    labels
        Which classes, as indices.
    edges_s
        (points + 1,) seconds.
    levels
        (classes, points) 0 to 255, which stand for scores from `low` to `high`.
    low, high
        Of the scale.
    """

    labels: list[int]
    edges_s: list[float]
    levels: NDArray[np.uint8]
    low: float
    high: float


def scale_of(systems: Iterable[Scores]) -> tuple[float, float]:
    """Return the scale that the curves of systems share: from 0, or their lowest score, to their highest one in tenths.

    Means over frequency are low: on a scale to 1 they would lie flat.
    """
    valid = [scores.framewise[i, :n] for scores in systems for i, n in enumerate(scores.n_frames)]
    low = min((float(values.min(initial=0.0)) for values in valid), default=0.0)
    high = max((float(values.max(initial=0.0)) for values in valid), default=1.0)
    return low, max(0.1, math.ceil(round(10 * high, 4)) / 10)


def curves(
    scores: Scores, clip: int, labels: tuple[str, ...], wanted: set[int], scale: tuple[float, float] = (0.0, 1.0)
) -> Curves:
    """Return the curves of a clip: of the `wanted` classes, and of others whose score is high, ten at most.

    Of more than 256 frames, each point is the highest of several.
    """
    low, high = scale
    columns = [k for k, label in enumerate(labels) if label in scores.labels]
    n = int(scores.n_frames[clip])
    of_labels = scores.framewise[clip, :n][:, [scores.labels.index(labels[k]) for k in columns]]
    highest = of_labels.max(axis=0, initial=0.0)
    order = sorted(range(len(columns)), key=lambda i: (columns[i] not in wanted, -highest[i]))
    kept = [i for i in order if columns[i] in wanted or highest[i] >= HIGH * high][:_MOST_CURVES]
    kept.sort(key=lambda i: columns[i])
    edges_s, every = scores.edges(clip), max(1, -(-n // _MOST_POINTS))
    values = np.pad(of_labels[:, kept], ((0, -n % every), (0, 0)), mode="edge") if n else of_labels[:, kept]
    values = values.reshape(-(-n // every), every, len(kept)).max(axis=1) if n else values
    levels = (np.clip((values - low) / (high - low), 0.0, 1.0) * 255).round().astype(np.uint8).T
    # Rising, since frames beyond a clip's end are cut at it.
    ends_s = [*edges_s[:n:every].tolist(), float(edges_s[-1])]
    return Curves([columns[i] for i in kept], [round(t, 4) for t in ends_s], levels, low, high)


def text_of(content: bytes) -> str:
    """Return bytes as text for a page."""
    return base64.b64encode(content).decode("ascii")


def frequency_marks(frontend: FrontEnd) -> list[list[Any]]:
    """Return octaves as a spectrogram's axis has them: Hz, and where, from 0 at the bottom to 1 at the top."""
    places, hz = octaves(frontend, frontend.n_bins)
    return [[value, round(place / frontend.n_bins, 4)] for place, value in zip(places, hz, strict=True)]
