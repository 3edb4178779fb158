"""Which checkpoint, features and clips: found without torch, so that a call with nothing to do ends at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.config import read_config
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.stamp import Source
from sedkit.dataio.datadir import TABLES, DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.features.chunk_settings import PER_CHUNK
from sedkit.features.frontends import FrontEnd, frontend_from, open_features


def checkpoint_path(experiment: Path, which: str = "best") -> Path:
    """Return the checkpoint of an experiment (a checkpoint file stands for itself).

    Raises
    ------
    SedkitError
        Neither an experiment nor a file; the message says what is there.
    """
    if experiment.is_file():
        return experiment
    path = experiment / "checkpoints" / f"{which}.pt"
    if not path.is_file():
        there = [p.stem for p in sorted((experiment / "checkpoints").glob("*.pt"))]
        raise SedkitError(f"{path}: no such checkpoint (there: {listed(there) or 'none'}); make it with `sedkit train`")
    return path


def frontend_of(checkpoint: Path) -> FrontEnd:
    """Return the front end of a checkpoint: from its experiment's config.yaml, else from the checkpoint itself."""
    config = checkpoint.parent.parent / "config.yaml"
    if checkpoint.parent.name == "checkpoints" and config.is_file():
        return frontend_from(read_config(config).get("frontend"), f"{config}: frontend")
    from sedkit.models.checkpoint import read_checkpoint

    return frontend_from(read_checkpoint(checkpoint).frontend, f"{checkpoint}: frontend")


def features_path(source: Path, frontend: FrontEnd) -> Path:
    """Return the features file of a data dir that a front end made; a file stands for itself."""
    if not source.is_dir():
        if not source.is_file():
            raise SedkitError(f"{source}: no such features file or data dir")
        return source
    path = source / f"{frontend.name}-{frontend.hash8}.h5"
    if not path.is_file():
        others = [p.name for p in sorted(source.glob("*.h5"))]
        raise SedkitError(
            f"{path}: no such features ({source} has {listed(others) or 'none'}); make them with `sedkit extract`"
        )
    return path


def stamp_inputs(checkpoint: Path, source: Path, chunks: str | None = None) -> dict[str, Source]:
    """Return the files that the scores depend on; `chunks` as the option of `sedkit predict`."""
    frontend = frontend_of(checkpoint)
    inputs: dict[str, Source] = {"checkpoint": checkpoint}
    waves = source.is_dir() and (frontend.name in PER_CHUNK or chunks == "published")
    if waves:
        inputs["recordings"] = DataDir(source).recordings()
    else:
        features = features_path(source, frontend)
        inputs["features"], source = features, features.parent
    # Labels decide on the chunks that are scored, and on nothing else.
    tables = TABLES if chunks else ("clips.tsv",)
    return inputs | {name: source / name for name in tables if (source / name).is_file()}


@dataclass(frozen=True)
class FoundClips:
    """Clips to score.

    Attributes
    ----------
    features, rows
        A features file and the rows of the clips in it.
    filenames, duration_s
        Of each clip; the duration is that of the recording where a data dir tells it.
    """

    features: FeatureFile
    rows: NDArray[np.int64]
    filenames: tuple[str, ...]
    duration_s: NDArray[np.float64]


def find_clips(source: Path, frontend: FrontEnd, folds: Sequence[str] | None = None) -> FoundClips:
    """Find the clips of a features file or a data dir.

    Parameters
    ----------
    source
        A features file (of the front end, else an error) or a data dir (its file of this front end is found by hash).
    frontend
        The network's.
    folds
        Only these folds of the data dir (of the one that the features file lies in).

    Raises
    ------
    SedkitError
        No such file, another front end, clips without features, no clip at all.
    """
    path = features_path(source, frontend)
    features = open_features(path, frontend)
    if not (path.parent / "clips.tsv").is_file():
        if folds is not None:
            raise UsageError(f"--fold: {path} does not lie in a data dir, whose clips.tsv would tell the folds")
        duration_s = features.n_frames * features.hop_samples / features.sample_rate
        return FoundClips(features, np.arange(len(features)), features.filenames, duration_s)
    data = DataDir(path.parent)
    chosen = data.select(folds)
    at = {name: i for i, name in enumerate(features.filenames)}
    names = tuple(data.clips.filename[i] for i in chosen)
    absent = [name for name in names if name not in at]
    if absent:
        raise SedkitError(
            f"{path}: lacks {len(absent)} of the {len(names)} clips of {path.parent} ({listed(absent, 2)}); "
            "run `sedkit extract` again"
        )
    rows = np.array([at[name] for name in names], dtype=np.int64)
    return FoundClips(features, rows, names, data.clips.duration_s[chosen])
