"""`sedkit tune`: post-processing chosen on a held-out set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sedkit.cli._options import add_force, boolean, number

HELP = "scores + labels -> post-processing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "scores", metavar="SCORES", help="scores of the tuning set: scores.h5, or a folder of score TSVs"
    )
    parser.add_argument(
        "--reference", metavar="LABELS.tsv", required=True, help="its events; for --objective tagging, tags will do"
    )
    parser.add_argument(
        "--objective",
        choices=("tagging", "event", "segment", "psds1", "psds2"),
        required=True,
        help="tagging: clip thresholds by F1; event, segment: frame thresholds, median windows, gaps and durations by "
        "F1; psds1, psds2: median windows",
    )
    parser.add_argument("--out", metavar="POST.yaml", required=True, help="the rules")
    parser.add_argument(
        "--start",
        metavar="POST.yaml|NAME|T",
        default="0.5",
        help="rules to begin with: a file, a preset or a frame threshold (default: 0.5, no gate); what the objective "
        "does not choose stays, the decoder and the clip thresholds above all",
    )
    parser.add_argument(
        "--seed",
        type=number(0, 2**32 - 1, whole=True),
        default=0,
        metavar="N",
        help="of the parts in which the value is cross-validated (default: 0)",
    )
    parser.add_argument(
        "--lenient",
        type=boolean,
        default=False,
        metavar="true|false",
        help="leave broken rows of the reference out, counted, instead of ending (default: false)",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Tune, unless the output is up to date."""
    from sedkit.core.stamp import Step

    inputs = {"scores": args.scores, "reference": args.reference}
    config: dict[str, Any] = {name: getattr(args, name) for name in ("objective", "seed", "lenient")}
    (inputs if Path(args.start).is_file() else config)["start"] = args.start
    Step("tune", args.out, config, inputs, args.force).run(lambda: _tune(args))
    return 0


def _tune(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from sedkit.core.files import sha256_file
    from sedkit.dataio.store import read_scores
    from sedkit.postprocessing.rules import read_postprocessing
    from sedkit.postprocessing.tune import describe, tune

    scores = read_scores(args.scores)
    reference = _read_reference(args.reference, scores.labels, args.lenient)
    start = read_postprocessing(args.start, scores.labels)
    rules = tune(scores, reference, args.objective, start, args.seed)
    tuned_on = {
        "path": args.reference,
        "sha256": sha256_file(args.reference),
        "clips": len(scores.filenames),
        "scores": args.scores,
        "producer": scores.producer,
        "seed": args.seed,
    }
    replace(rules, tuned_on=tuned_on).write(args.out)
    print(describe(rules))
    print(
        f"{args.objective}: {rules.value:.4f} on these {len(scores.filenames)} clips, "
        f"{rules.cross_validated:.4f} with rules chosen on other clips"
    )


def _read_reference(path: str, labels: tuple[str, ...], lenient: bool) -> Any:
    """Read events or tags, told apart by the table's columns."""
    from sedkit.dataio.rows import columns_of
    from sedkit.dataio.tables import active_events, read_strong, read_weak

    if "event_labels" in columns_of(path):
        return read_weak(path, labels, lenient)
    return active_events(path, read_strong(path, labels, lenient))
