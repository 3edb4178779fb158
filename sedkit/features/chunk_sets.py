"""Data dirs cut into chunks, with the classes of a run in place of the set's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError, listed
from sedkit.core.log import log
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.chunks import ChunkTable, event_chunks, tagged_chunks
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Tags
from sedkit.datasets.maps import load_class_map
from sedkit.features.chunk_settings import ChunkSettings
from sedkit.features.chunks import sounding


def cut(
    data: DataDir, settings: ChunkSettings, folds: Sequence[str] | None, labels: Vocabulary | None
) -> tuple[ChunkTable, NDArray[np.int64], Vocabulary]:
    """Return the chunks of a set with the classes of a run.

    Returns
    -------
    chunks, clips, labels
        The table (of the clips that are kept), their indices in the data dir, and the class order.

    Raises
    ------
    UsageError
        The set has other classes than the run and no map says what they stand for.
    """
    chosen = data.select(folds)
    class_map = load_class_map(settings.class_map) if settings.class_map else None
    if labels is None:
        labels = Vocabulary(tuple(class_map)) if class_map else data.labels
    sources = _sources(data, labels, class_map, settings)
    filenames = tuple(data.clips.filename[i] for i in chosen)
    duration_s = data.clips.duration_s[chosen]
    if data.has_strong:
        if class_map:
            raise UsageError(f"{data.path}: chunks.class_map is for tagged clips, this set has events")
        events = data.strong().keep_labels(labels.labels).keep_clips(filenames)
        return event_chunks(events, duration_s, settings.chunk_s, settings.hop_s, settings.least_s), chosen, labels
    tags = data.weak()
    columns = [[data.labels.index(s) for s in sources[label]] for label in labels]
    present = np.stack([tags.present[chosen][:, c].any(axis=1) for c in columns], axis=1)
    keep = np.ones(len(chosen), dtype=bool) if settings.others else present.any(axis=1)
    mapped = Tags(tuple(np.array(filenames, dtype=object)[keep]), labels.labels, present[keep], tags.source)
    return tagged_chunks(mapped, duration_s[keep], settings.chunk_s, settings.hop_s), chosen[keep], labels


def _sources(
    data: DataDir, labels: Vocabulary, class_map: dict[str, tuple[str, ...]] | None, settings: ChunkSettings
) -> dict[str, tuple[str, ...]]:
    """Return the categories of the set that stand for each class of the run."""
    if class_map is None:
        found = {label: (label,) for label in labels}
    elif set(class_map) != set(labels):
        raise UsageError(
            f"class map {settings.class_map} gives {listed(class_map, 12)}, expected the run's {listed(labels, 12)}"
        )
    else:
        # A small copy of a data set need not have every category that a map names; one for each class it must have.
        found = {label: tuple(s for s in class_map[label] if s in data.labels.labels) for label in labels}
    absent = [label for label, group in found.items() if not group or group[0] not in data.labels.labels]
    if absent:
        hint = "categories of chunks.class_map" if class_map else "classes; give chunks.class_map for other classes"
        raise UsageError(f"{data.path}/labels.txt: has nothing for {listed(absent)}, expected {hint}")
    return found


def drop_silence(name: str, chunks: ChunkTable, power: NDArray[np.float64], settings: ChunkSettings) -> ChunkTable:
    """Return the chunks that hold sound by the settings, saying under `name` how many do not."""
    keep = sounding(chunks, power, settings.silence_db)
    if not keep.all():
        log.info("%s: %d of %d chunks are padding (silence) and left out", name, int((~keep).sum()), len(chunks))
    return chunks.take(keep)
