"""The clip gate: in which clips a class's events are looked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.events import Tags, tags_of
from sedkit.postprocessing.rules import Postprocessing

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


def read_tags(path: str, labels: tuple[str, ...]) -> Scores | Tags:
    """Read what opens a gate, told apart by its form: other scores, a table of tags, or one of events (an oracle's)."""
    from sedkit.dataio.rows import columns_of
    from sedkit.dataio.store import read_scores
    from sedkit.dataio.tables import read_strong, read_weak

    if Path(path).is_dir() or Path(path).suffix in (".h5", ".hdf5"):
        return read_scores(path)
    if "event_labels" in columns_of(path):
        return read_weak(path, labels)
    return tags_of(read_strong(path, labels, soft=True))


def tags_above(scores: Scores, rules: Postprocessing) -> Tags:
    """Return the classes of clips whose clip scores are above the clip thresholds; SedkitError where either lacks."""
    _check_all_gated(rules)
    return Tags(scores.filenames, scores.labels, open_gate(scores, rules.over(scores.labels)), scores.producer)


def open_gate(scores: Scores, rules: Postprocessing, tags: Scores | Tags | None = None) -> np.ndarray:
    """Return for every clip and class whether events are looked for, (clips, classes) bool.

    The scores have clip scores where a rule (of their classes, in their order) has a clip threshold and there are no
    `tags`, which are as in `decode`.
    """
    if isinstance(tags, Tags):
        unknown = [label for label in tags.labels if label not in scores.labels]
        if unknown:
            raise SedkitError(f"{tags.source}: tags of classes that the scores lack: {listed(unknown)}")
        return tags.named_as(scores.filenames).keep_clips(scores.filenames).keep_labels(scores.labels).present
    limit = rules.column("clip_threshold")
    gated = ~np.isnan(limit)
    clip_scores = scores.clipwise if tags is None else _clip_scores_of(tags, scores)
    if tags is not None:
        _check_all_gated(rules)
    elif gated.any() and clip_scores is None:
        raise SedkitError(
            f"{rules.source}: {scores.labels[int(np.argmax(gated))]} has a clip_threshold, but the scores hold no "
            "clip scores; give them with --tags, or leave clip_threshold out of the rules"
        )
    gate = np.ones((len(scores.filenames), len(scores.labels)), bool)
    if clip_scores is not None:
        gate[:, gated] = clip_scores[:, gated].astype(np.float64) > limit[gated]
    return gate


def _check_all_gated(rules: Postprocessing) -> None:
    for label in np.array(rules.labels)[np.isnan(rules.column("clip_threshold"))]:
        raise SedkitError(
            f"{rules.source}: {label} has no clip_threshold, which clip scores are held against; choose them with "
            "sedkit tune --objective tagging"
        )


def _clip_scores_of(tags: Scores, scores: Scores) -> np.ndarray:
    if tags.clipwise is None:
        raise SedkitError(f"tags ({tags.producer}): hold no clip scores, expected some")
    if sorted(tags.labels) != sorted(scores.labels):
        raise SedkitError(
            f"tags ({tags.producer}): other classes than the scores "
            f"(only in the tags: {listed(sorted(set(tags.labels) - set(scores.labels))) or 'none'}; "
            f"only in the scores: {listed(sorted(set(scores.labels) - set(tags.labels))) or 'none'})"
        )
    ordered = tags.named_as(scores.filenames).keep_clips(scores.filenames).keep_labels(scores.labels).clipwise
    assert ordered is not None
    return ordered
