"""Bring an output onto the clips and classes of a reference, as the challenge scripts do."""

from __future__ import annotations

import numpy as np

from sedkit.dataio.events import Events


def occurring(*tables: Events) -> tuple[str, ...]:
    """Return the classes that occur in any of the tables: in the first table's order, then the others'."""
    names: dict[str, None] = {}
    present = {table.labels[i] for table in tables for i in np.unique(table.label)}
    for table in tables:
        names.update(dict.fromkeys(label for label in table.labels if label in present))
    return tuple(names)


def align(reference: Events, estimate: Events) -> tuple[Events, Events]:
    """Give two tables the reference's clips and the union of the classes that occur.

    Clips outside the reference leave the estimate; clips that the estimate does not list come without events.
    """
    labels = occurring(reference, estimate)
    return reference.keep_labels(labels), estimate.keep_clips(reference.filenames).keep_labels(labels)
