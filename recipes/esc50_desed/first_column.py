"""The figure that the published ESC-50 to DESED system calls macro F1.

    python recipes/esc50_desed/first_column.py --reference CHUNKS.tsv --estimate EVENTS.tsv [--json OUT.json]

It reads the *first column* of predictions and targets, whatever class that is on either side (the publication's
tables had different class orders: dog beside cat), and averages the F1 of the column's two values, absence and
presence. An output without a single event scores nearly one half, so the figure says nothing about sound event
detection; it is kept so that the published 0.497 can be placed, beside an output of no event and one of every class.
Both tables list a chunk of a recording as a clip of its own (`sedkit predict --chunks published`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.cli._options import Parser
from sedkit.cli.main import guarded
from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import sha256_file, write_json
from sedkit.dataio.events import Events
from sedkit.dataio.tables import read_strong

#: First classes of the publication's training and test tables, which are in order of first appearance.
PREDICTED_CLASS, REFERENCE_CLASS = "Dog", "Cat"


def first_column_f1(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean F1 of absence and presence, over those that occur on either side.

    Parameters
    ----------
    estimate, reference
        (chunks,) bool: presence of the predicted class, and of the other class that it is held against.
    """
    f1 = []
    for value in (False, True):
        n = np.sum(estimate == value) + np.sum(reference == value)
        if n:
            f1.append(2 * np.sum((estimate == value) & (reference == value)) / n)
    return float(np.mean(f1))


def holds(events: Events, label: str, chunks: Sequence[str]) -> np.ndarray:
    """Return (chunks,) bool: whether a chunk has events of the class."""
    rows = events.keep_clips(chunks).keep_labels((label,))
    present = np.zeros(len(chunks), dtype=bool)
    present[rows.clip] = True
    return present


def figures(reference_path: Path, estimate_path: Path) -> dict[str, Any]:
    """Return the figure, its two controls and what was read.

    Raises
    ------
    SedkitError
        A table that cannot be read, one without chunks, or an output with chunks that the reference lacks.
    """
    reference, estimate = read_strong(reference_path), read_strong(estimate_path)
    chunks = reference.filenames
    if not chunks:
        raise SedkitError(f"{reference_path}: lists no chunk, expected at least one")
    if strangers := sorted(set(estimate.filenames) - set(chunks)):
        raise SedkitError(
            f"{estimate_path}: {len(strangers)} chunks are not in {reference_path} ({listed(strangers, 3)}); "
            "give the chunks that were predicted, as sedkit predict --reference-out writes them"
        )
    wanted, found = holds(reference, REFERENCE_CLASS, chunks), holds(estimate, PREDICTED_CLASS, chunks)
    return {
        "value": first_column_f1(found, wanted),
        "controls": {
            "all_negative": first_column_f1(np.zeros_like(found), wanted),
            "all_positive": first_column_f1(np.ones_like(found), wanted),
        },
        "predicted_class": PREDICTED_CLASS,
        "reference_class": REFERENCE_CLASS,
        "n_chunks": len(chunks),
        "n_reference": int(wanted.sum()),
        "n_estimate": int(found.sum()),
        "reference": {"path": str(reference_path), "sha256": sha256_file(reference_path)},
        "estimate": {"path": str(estimate_path), "sha256": sha256_file(estimate_path)},
    }


def main(argv: Sequence[str]) -> int:
    """Print the figure with its controls, and write them where asked for."""
    parser = Parser(prog="first_column.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--reference", required=True, type=Path, metavar="CHUNKS.tsv", help="classes of each chunk")
    parser.add_argument("--estimate", required=True, type=Path, metavar="EVENTS.tsv", help="decoded chunks")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="the figures as JSON")
    parser.refuse_unknown(argv)
    args = parser.parse_args(argv)
    found = figures(args.reference, args.estimate)
    if args.json:
        write_json(args.json, found)
    controls = ", ".join(f"{name.replace('_', ' ')} {100 * value:.1f}" for name, value in found["controls"].items())
    print(
        f"published first column (%): {100 * found['value']:.1f} ({found['n_chunks']} chunks, predicted "
        f"{found['predicted_class']} against {found['reference_class']}); {controls}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded("first_column.py", lambda: main(sys.argv[1:])))
