"""The figure that the published ESC-50 to DESED system calls macro F1, and the windows that it was tested on.

    python recipes/esc50_desed/first_column.py windows STRONG.tsv --out WINDOWS.tsv [--force true]
    python recipes/esc50_desed/first_column.py figures STRONG.tsv --estimate EVENTS.tsv ... [--json OUT.json ...]

It reads the *first column* of predictions and targets, whatever class that is on either side (the publication's
tables had different class orders: dog beside cat), and averages the F1 of the column's two values, absence and
presence. An output without a single event scores nearly one half, so the figure says nothing about sound event
detection; it is kept so that the published 0.497 can be placed, beside an output of no event and one of every class.
`sedkit predict --windows WINDOWS.tsv` scores each window as a clip of its own; EVENTS.tsv are these scores decoded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sedkit.cli._options import Parser, add_force
from sedkit.cli.main import guarded
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import sha256_file, write_json
from sedkit.core.stamp import Step
from sedkit.dataio.events import Events
from sedkit.dataio.rows import write_table
from sedkit.dataio.tables import read_strong

LABELS = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")
#: First classes of the publication's training and test tables, which are in order of first appearance.
PREDICTED_CLASS, REFERENCE_CLASS = "Dog", "Cat"
WINDOW_S = 1.0


class Window(NamedTuple):
    """An excerpt of a clip, and the classes that the publication says it holds."""

    filename: str
    onset_s: float
    offset_s: float
    labels: frozenset[str]

    @property
    def name(self) -> str:
        """The window as a clip of its own, as `sedkit predict --windows` calls it."""
        return f"{self.filename.rsplit('.', 1)[0]}_{round(1000 * self.onset_s)}_{round(1000 * self.offset_s)}.wav"


def published_windows(events: Events, labels: Sequence[str] = LABELS) -> list[Window]:
    """Cut as the published ESC-50 to DESED system did: from each event's onset on, so that no window is empty.

    The publication's rules are kept, faults included: events are sorted by file name and onset; windows begin at the
    onset and every second after it while before the offset (the last one reaches beyond the event); where the next
    event of the file begins *later* than one window after this one's onset and its classes differ, both events take
    the classes of both (true overlaps are the other case); the last event of the table is dropped. The rule works
    down the table, so that classes travel on through several events: with that it gives the published 3057 windows
    and 1.8 % of several classes on the public evaluation set.

    Parameters
    ----------
    events
        Strong labels; classes outside `labels` are left out first.
    """
    ours = events.keep_labels(tuple(labels))
    rows = sorted(
        (ours.filenames[clip], float(onset), i, float(offset), ours.labels[label])
        for i, (clip, onset, offset, label) in enumerate(
            zip(ours.clip, ours.onset_s, ours.offset_s, ours.label, strict=True)
        )
    )
    classes = [frozenset([label]) for *_, label in rows]
    windows = []
    for i, ((filename, onset, _, offset, _), (next_filename, next_onset, *_)) in enumerate(pairwise(rows)):
        if next_filename == filename and next_onset > onset + WINDOW_S and classes[i + 1] != classes[i]:
            classes[i] = classes[i + 1] = classes[i] | classes[i + 1]
        start = onset
        while start < offset:
            windows.append(Window(filename, start, start + WINDOW_S, classes[i]))
            start += WINDOW_S
    return windows


def window_table(windows: Sequence[Window]) -> dict[str, Sequence[Any]]:
    """Return the columns filename, onset and offset; windows that are the same to the millisecond stand there once."""
    once = {window.name: window for window in windows}.values()
    return {
        "filename": [window.filename for window in once],
        "onset": [f"{window.onset_s:.3f}" for window in once],
        "offset": [f"{window.offset_s:.3f}" for window in once],
    }


def first_column_f1(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean F1 of absence and presence, over those that occur on either side.

    Parameters
    ----------
    estimate, reference
        (windows,) bool: presence of the predicted class, and of the other class that it is held against.
    """
    f1 = []
    for value in (False, True):
        n = np.sum(estimate == value) + np.sum(reference == value)
        if n:
            f1.append(2 * np.sum((estimate == value) & (reference == value)) / n)
    return float(np.mean(f1))


def figures(reference_path: Path, estimate_path: Path) -> dict[str, Any]:
    """Return the figure, its two controls and what was read.

    Raises
    ------
    SedkitError
        A table that cannot be read, one without windows, or an output with clips that are none of the windows.
    """
    windows, estimate = published_windows(read_strong(reference_path)), read_strong(estimate_path)
    if not windows:
        raise SedkitError(f"{reference_path}: has no window of {listed(LABELS)}, expected two events of them or more")
    if strangers := sorted(set(estimate.filenames) - {window.name for window in windows}):
        raise SedkitError(
            f"{estimate_path}: {len(strangers)} clips are no windows of {reference_path} ({listed(strangers, 3)}); "
            "give what was predicted with sedkit predict --windows"
        )
    rows = estimate.keep_labels((PREDICTED_CLASS,))
    positive = {rows.filenames[clip] for clip in rows.clip}
    predicted = np.array([window.name in positive for window in windows])
    wanted = np.array([REFERENCE_CLASS in window.labels for window in windows])
    return {
        "value": first_column_f1(predicted, wanted),
        "controls": {
            "all_negative": first_column_f1(np.zeros_like(predicted), wanted),
            "all_positive": first_column_f1(np.ones_like(predicted), wanted),
        },
        "predicted_class": PREDICTED_CLASS,
        "reference_class": REFERENCE_CLASS,
        "n_windows": len(windows),
        "n_reference": int(wanted.sum()),
        "n_estimate": int(predicted.sum()),
        "reference": {"path": str(reference_path), "sha256": sha256_file(reference_path)},
        "estimate": {"path": str(estimate_path), "sha256": sha256_file(estimate_path)},
    }


def write_windows(args: argparse.Namespace) -> None:
    """Write the table of windows, unless it is up to date."""
    step = Step("first_column windows", args.out, {}, {"reference": args.reference}, args.force)
    step.run(lambda: write_table(args.out, window_table(published_windows(read_strong(args.reference)))))


def show_figures(args: argparse.Namespace) -> None:
    """Print the figure of each output with its controls, and write them where asked for."""
    if args.json and len(args.json) != len(args.estimate):
        raise UsageError(f"{len(args.json)} files for --json, {len(args.estimate)} outputs: expected one each")
    for i, path in enumerate(args.estimate):
        result = figures(args.reference, path)
        if args.json:
            write_json(args.json[i], result)
        controls = ", ".join(f"{name.replace('_', ' ')} {100 * f1:.1f}" for name, f1 in result["controls"].items())
        print(
            f"{path}: published first column (%): {100 * result['value']:.1f} ({result['n_windows']} windows, "
            f"predicted {PREDICTED_CLASS} against {REFERENCE_CLASS}); {controls}"
        )


def main(argv: Sequence[str]) -> int:
    """Do what the first word says."""
    parser = Parser(prog="first_column.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="windows|figures")
    windows = commands.add_parser("windows", help="the windows that the publication tested on")
    windows.add_argument("--out", required=True, type=Path, metavar="WINDOWS.tsv")
    add_force(windows)
    scored = commands.add_parser("figures", help="what the publication calls macro F1")
    scored.add_argument("--estimate", required=True, nargs="+", type=Path, metavar="EVENTS.tsv", help="decoded windows")
    scored.add_argument("--json", nargs="+", type=Path, metavar="OUT.json", help="one for each: the figures as JSON")
    for command, call in ((windows, write_windows), (scored, show_figures)):
        command.add_argument("reference", type=Path, metavar="STRONG.tsv", help="events of the set")
        command.set_defaults(call=call)
    args = parser.parse_args(argv)
    args.call(args)
    return 0


if __name__ == "__main__":
    sys.exit(guarded("first_column.py", lambda: main(sys.argv[1:])))
