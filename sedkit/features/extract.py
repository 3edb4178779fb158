"""From the recordings of a data dir to one features file: parallel shards, kept when interrupted, merged at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, first_line
from sedkit.core.files import atomic_path, check_room, content_hash
from sedkit.core.log import log
from sedkit.core.parallel import run_jobs
from sedkit.core.stamp import describe
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import new_feature_file
from sedkit.features.frontends import FrontEnd

# Small enough that two processes share a small set evenly and little is lost when interrupted.
_SHARD_CLIPS = 16
# Another process costs a second to start, in which one extracts about this many clips.
_CLIPS_PER_JOB = 100
# Headers and tables round: a larger difference means that the recording is not the one that was prepared.
_DURATION_SLACK_S = 0.05


@dataclass(frozen=True)
class _Shard:
    path: Path
    audio: tuple[Path, ...]
    duration_s: tuple[float, ...]
    frontend: FrontEnd
    resampler: str


def check_resampler(frontend: FrontEnd, resampler: str) -> None:
    """Refuse the fast resampler where its transition band would reach the features."""
    if resampler != "fast":
        return
    from sedkit.dataio.resample import fast_limit_hz

    limit = fast_limit_hz(frontend.sample_rate)
    if frontend.highest_hz > limit:
        raise UsageError(
            f"--resampler fast keeps frequencies up to {limit:.0f} Hz at {frontend.sample_rate} Hz and the front end "
            f"{frontend.name} reads up to {frontend.highest_hz:.0f} Hz, expected an fmax_hz of at most {limit:.0f}, "
            "or --resampler exact"
        )


def extract(
    data: DataDir,
    frontend: FrontEnd,
    out: Path,
    *,
    jobs: int = 1,
    resampler: str = "exact",
    fresh: bool = False,
    hashes: Mapping[str, str] | None = None,
) -> None:
    """Write the features of every clip of a data dir.

    Shards that an interrupted call left in `<out>.parts/`, or that another machine put there, are used where front end,
    resampler and the recordings' content are the same; the folder is removed at the end.

    Parameters
    ----------
    data : data dir; clips missing on disk are not among its clips.
    frontend : what to compute.
    out : features file to write.
    jobs : processes.
    resampler : "exact", or "fast" with single precision transforms (where `check_resampler` allows it).
    fresh : ignore shards that are there.
    hashes : SHA-256 of each clip's recording, where known.

    Raises
    ------
    SedkitError
        A recording cannot be read, or is not as long as clips.tsv says.
    """
    check_resampler(frontend, resampler)
    clips = data.clips
    n_frames = np.array([frontend.valid_frames(s) for s in clips.duration_s], dtype=np.int64)
    frames = max((frontend.frames_for(s) for s in clips.duration_s), default=1)
    parts = out.with_name(f"{out.name}.parts")
    shards = _shards(data, frontend, parts, resampler, hashes)
    _drop_others(parts, () if fresh else shards)
    waiting = [shard for shard in shards if not shard.path.exists()]
    if len(waiting) < len(shards):
        log.info("extract: goes on: %d of %d shards are there", len(shards) - len(waiting), len(shards))
    enough = max(1, _SHARD_CLIPS * len(waiting) // _CLIPS_PER_JOB)
    run_jobs(_extract_shard, waiting, 1 if frontend.alone else min(jobs, enough), "features")
    with new_feature_file(
        out,
        clips.filename,
        n_frames,
        (frames, frontend.n_bins),
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        scale=frontend.scale,
        sample_rate=frontend.sample_rate,
        hop_samples=frontend.grid.hop_samples,
        resampler=resampler,
        storage=frontend.storage,
    ) as features:
        for i, shard in enumerate(shards):
            clips_of_shard = _read_shard(shard)
            first = i * _SHARD_CLIPS
            features[first : first + len(clips_of_shard), : clips_of_shard.shape[1]] = clips_of_shard
            if clips_of_shard.shape[1] < frames:
                features[first : first + len(clips_of_shard), clips_of_shard.shape[1] :] = frontend.padding
    shutil.rmtree(parts, ignore_errors=True)


def _shards(
    data: DataDir, frontend: FrontEnd, parts: Path, resampler: str, hashes: Mapping[str, str] | None = None
) -> list[_Shard]:
    clips, paths = data.clips, data.recordings()
    if hashes is None:
        hashes = {name: sha for name, (_, sha) in describe(paths).items()}
    shards = []
    for first in range(0, len(clips), _SHARD_CLIPS):
        chosen = range(first, min(first + _SHARD_CLIPS, len(clips)))
        contents = [(clips.filename[i], float(clips.duration_s[i]), hashes[clips.filename[i]]) for i in chosen]
        key = content_hash([frontend.hash8, resampler, contents])
        shards.append(
            _Shard(
                parts / f"{first // _SHARD_CLIPS:05d}-{key[:16]}.npy",
                tuple(Path(paths[clips.filename[i]]) for i in chosen),
                tuple(float(clips.duration_s[i]) for i in chosen),
                frontend,
                resampler,
            )
        )
    return shards


def _drop_others(parts: Path, shards: Sequence[_Shard]) -> None:
    wanted = {shard.path.name for shard in shards}
    for path in parts.glob("*.npy"):
        if path.name not in wanted:
            path.unlink(missing_ok=True)


def _extract_shard(shard: _Shard) -> None:
    frontend = shard.frontend
    precision = "single" if shard.resampler == "fast" else "double"
    frames = max(frontend.frames_for(duration) for duration in shard.duration_s)
    out = np.full((len(shard.audio), frames, frontend.n_bins), frontend.padding, dtype=frontend.storage)
    clips = frontend.transform_each(_waveforms(shard), precision)
    for features, duration_s, target in zip(clips, shard.duration_s, out, strict=True):
        # A duration rounded in the table may be one frame off the sound itself.
        keep = min(len(features), frontend.frames_for(duration_s))
        target[:keep] = features[:keep]
    check_room(shard.path, out.nbytes)
    with atomic_path(shard.path) as temporary, open(temporary, "wb") as file:
        np.save(file, out)


def _waveforms(shard: _Shard) -> Iterator[NDArray[np.float32]]:
    """Read the recordings of a shard in turn."""
    rate = shard.frontend.sample_rate
    for path, duration_s in zip(shard.audio, shard.duration_s, strict=True):
        waveform = read_audio(path, rate, shard.resampler)
        length_s = len(waveform) / rate
        if abs(length_s - duration_s) > _DURATION_SLACK_S:
            raise SedkitError(
                f"{path}: {length_s:.3f} s of sound, expected {duration_s:.3f} s as in clips.tsv (run `sedkit prepare`)"
            )
        yield waveform


def _read_shard(shard: _Shard) -> NDArray[np.float32]:
    try:
        features = np.load(shard.path)
    except (OSError, ValueError, EOFError) as error:
        why = first_line(error)
        raise SedkitError(f"{shard.path}: not a readable shard ({why}); remove it and run the call again") from None
    if features.shape[0] != len(shard.audio) or features.shape[2] != shard.frontend.n_bins:
        raise SedkitError(
            f"{shard.path}: shape {features.shape} does not fit its clips; remove it and run the call again"
        )
    return features
