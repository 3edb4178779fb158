"""Features and scores on disk: HDF5, and folders of per-clip score TSVs.

A features file holds one contiguous data set, so that a training batch is read through a memory map at the data set's
offset: that is a copy of memory, where HDF5's own selections and chunks cost a hundred times as much.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import sedkit
from sedkit.core.errors import SedkitError, first_line
from sedkit.core.files import atomic_path, check_room
from sedkit.core.log import log
from sedkit.dataio.score_tsvs import read_score_tsvs
from sedkit.dataio.scores import Member, Scores

#: What features are of a sound's amplitude; an embedding is nothing of the kind.
SCALES = ("db_power", "db_amplitude", "ln_magnitude", "ln_power", "power", "magnitude", "embedding")
#: Types of the numbers in a features file.
STORAGES = {"float32": "<f4", "float16": "<f2"}
#: What stands in a file beside its largest data set, more or less.
_HEAD_BYTES = 2**15
_FEATURE_ATTRIBUTES = ("frontend", "frontend_hash", "scale", "sample_rate", "hop_samples")


class FeatureFile:
    """A features file opened for reading; cheap to open, and to send to another process (only the path travels).

    Attributes
    ----------
    path : Path
    filenames : tuple of str, one per clip.
    n_frames : (clips,) int64, frames that the recording itself fills; what follows is padding.
    frontend : dict, the front end's name and parameters; `frontend_hash` its short hash.
    scale : one of `SCALES`, before any per-clip clamp.
    sample_rate, hop_samples : the time grid: frame k stands for [k, k + 1) * hop_samples / sample_rate seconds.
    resampler : "exact" or "fast", how recordings at other rates were brought to `sample_rate`.
    shape : (clips, frames, bins)
    features : (clips, frames, bins) float32 or, where they were stored so, float16; mapped from the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _opened(self.path, "a features file") as file:
            missing = [name for name in ("features", "n_frames", "filename") if name not in file]
            missing += [name for name in _FEATURE_ATTRIBUTES if name not in file.attrs]
            if missing:
                raise SedkitError(
                    f"{self.path}: not a features file: lacks {', '.join(missing)} (see `sedkit extract`)"
                )
            data = file["features"]
            self.filenames = _strings(file["filename"])
            self.n_frames = np.asarray(file["n_frames"][:], dtype=np.int64)
            self.frontend: dict[str, Any] = json.loads(file.attrs["frontend"])
            self.frontend_hash = str(file.attrs["frontend_hash"])
            self.scale = str(file.attrs["scale"])
            self.sample_rate = int(file.attrs["sample_rate"])
            self.hop_samples = int(file.attrs["hop_samples"])
            self.resampler = str(file.attrs.get("resampler", "exact"))
            self.shape: tuple[int, int, int] = tuple(data.shape)
            clips = len(self.filenames)
            if len(self.shape) != 3 or self.shape[0] != clips or self.n_frames.shape != (clips,):
                raise SedkitError(
                    f"{self.path}: features of shape {self.shape} and n_frames of shape {self.n_frames.shape} for "
                    f"{clips} filenames, expected (clips, frames, bins) and (clips,)"
                )
            self.features = self._map(data)

    def _map(self, data: h5py.Dataset) -> NDArray[np.floating]:
        offset = data.id.get_offset()
        if offset is not None and data.dtype in STORAGES.values():
            return np.memmap(self.path, dtype=data.dtype, mode="r", offset=offset, shape=self.shape)
        if data.size:
            log.info("%s: features are %s, not contiguous float32: read into memory", self.path, data.dtype)
        return np.asarray(data[:], dtype=np.float32)

    def __reduce__(self) -> tuple[type[FeatureFile], tuple[Path]]:
        return FeatureFile, (self.path,)

    def __len__(self) -> int:
        return len(self.filenames)


@contextmanager
def new_feature_file(
    path: str | Path,
    filenames: Sequence[str],
    n_frames: NDArray[np.integer],
    shape: tuple[int, int],
    *,
    frontend: dict[str, Any],
    frontend_hash: str,
    scale: str,
    sample_rate: int,
    hop_samples: int,
    resampler: str = "exact",
    storage: str = "float32",
) -> Iterator[h5py.Dataset]:
    """Make a features file at its final shape and fill it; it appears when the block ends without an error.

    Parameters
    ----------
    path : file to write.
    filenames : one per clip.
    n_frames : (clips,) frames that each recording fills.
    shape : (frames, bins) of every clip.
    frontend, frontend_hash, scale, sample_rate, hop_samples, resampler : attributes as in `FeatureFile`.
    storage : type of the numbers, one of `STORAGES`.

    Yields
    ------
    The data set (clips, frames, bins), to be assigned in slices of clips.
    """
    if scale not in SCALES:
        raise SedkitError(f"{path}: scale is {scale!r}, expected one of {', '.join(SCALES)}")
    kind = np.dtype(STORAGES[storage])
    check_room(path, _HEAD_BYTES + kind.itemsize * len(filenames) * shape[0] * shape[1])
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        _write_strings(file, "filename", filenames)
        file["n_frames"] = np.asarray(n_frames, dtype=np.int64)
        file.attrs.update(
            {
                "frontend": json.dumps(frontend, sort_keys=True),
                "frontend_hash": frontend_hash,
                "scale": scale,
                "sample_rate": sample_rate,
                "hop_samples": hop_samples,
                "resampler": resampler,
                "version": sedkit.__version__,
            }
        )
        yield file.create_dataset("features", (len(filenames), *shape), kind, fill_time="never")


def write_features(
    path: str | Path,
    filenames: Sequence[str],
    features: NDArray[np.float32],
    n_frames: NDArray[np.integer],
    **attributes: Any,
) -> None:
    """Write (clips, frames, bins) features at once; `attributes` as in `new_feature_file`."""
    with new_feature_file(path, filenames, n_frames, features.shape[1:], **attributes) as data:
        data[...] = features


def read_scores(path: str | Path) -> Scores:
    """Read a scores file, or a folder of per-clip score TSVs (`onset offset <class>...`, file name = clip's id).

    A clip of a folder gets the name `<id>.wav`, no clip scores, and the end of its last frame as duration.

    Raises
    ------
    SedkitError
        Names file, and row or key.
    """
    path = Path(path)
    if path.is_dir():
        return read_score_tsvs(path)
    with _opened(path, "a scores file") as file:
        missing = [name for name in ("framewise", "frame_edges_s", "filename", "labels") if name not in file]
        if missing:
            raise SedkitError(f"{path}: not a scores file: lacks {', '.join(missing)} (see `sedkit predict`)")
        framewise = file["framewise"][:]
        edges = np.asarray(file["frame_edges_s"][:], dtype=np.float64)
        n_frames = file["n_frames"][:] if "n_frames" in file else np.full(len(framewise), framewise.shape[1])
        per_clip = edges.ndim == 2 and len(edges) == len(n_frames)
        grids = tuple(row[: n + 1] for row, n in zip(edges, n_frames, strict=True)) if per_clip else edges
        if "duration_s" in file:
            duration = file["duration_s"][:]
        else:
            duration = np.array(
                [row[n] for row, n in zip(edges, n_frames, strict=True)] if per_clip else edges[n_frames]
            )
        try:
            return Scores(
                framewise=framewise,
                n_frames=n_frames,
                duration_s=duration,
                frame_edges_s=grids,
                filenames=_strings(file["filename"]),
                labels=_strings(file["labels"]),
                clipwise=file["clipwise"][:] if "clipwise" in file else None,
                producer=str(file.attrs.get("producer", path.name)),
                members=_read_members(str(file.attrs.get("members", "[]"))),
                processed=bool(file.attrs.get("processed", False)),
            )
        except SedkitError as error:
            raise SedkitError(f"{path}: {error}") from None


def write_scores(path: str | Path, scores: Scores) -> None:
    """Write scores as HDF5; grids that differ between clips are stored as (clips, frames + 1), padded with NaN."""
    edges = scores.frame_edges_s
    if isinstance(edges, tuple):
        padded = np.full((len(edges), scores.framewise.shape[1] + 1), np.nan)
        for row, grid in zip(padded, edges, strict=True):
            row[: len(grid)] = grid
        edges = padded
    check_room(path, _HEAD_BYTES + scores.framewise.nbytes)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["framewise"] = scores.framewise.astype(scores.framewise.dtype.newbyteorder("<"), copy=False)
        if scores.clipwise is not None:
            file["clipwise"] = scores.clipwise.astype(scores.clipwise.dtype.newbyteorder("<"), copy=False)
        file["n_frames"] = scores.n_frames
        file["duration_s"] = scores.duration_s
        file["frame_edges_s"] = edges
        _write_strings(file, "filename", scores.filenames)
        _write_strings(file, "labels", scores.labels)
        file.attrs["producer"] = scores.producer
        if scores.members:
            file.attrs["members"] = json.dumps([asdict(member) for member in scores.members])
        if scores.processed:
            file.attrs["processed"] = True
        file.attrs["version"] = sedkit.__version__


def _read_members(text: str) -> tuple[Member, ...]:
    try:
        return _members(json.loads(text))
    except (KeyError, TypeError, ValueError):
        raise SedkitError(f"the attribute members is {text[:60]!r}, expected what `sedkit fuse` writes") from None


def _members(raw: list[dict[str, Any]]) -> tuple[Member, ...]:
    return tuple(Member(one["producer"], one["share"], _members(one["members"])) for one in raw)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[h5py.File]:
    """Open a file for reading; what stands in a damaged one may be of any kind, and fail in any way."""
    if not path.is_file():
        raise SedkitError(f"{path}: no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SedkitError(f"{path}: not a readable HDF5 file ({first_line(error)})") from None
    with file:
        try:
            yield file
        except SedkitError:
            raise
        except Exception as error:
            raise SedkitError(f"{path}: not {what} ({type(error).__name__}: {first_line(error)})") from None


def _strings(data: h5py.Dataset) -> tuple[str, ...]:
    return tuple(item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in data[:])


def _write_strings(file: h5py.File, name: str, values: Sequence[str]) -> None:
    file.create_dataset(name, data=np.array(list(values), dtype=object), dtype=h5py.string_dtype())
