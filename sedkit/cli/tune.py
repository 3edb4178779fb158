"""`sedkit tune`: post-processing chosen on a held-out set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sedkit.cli._options import add_flag, add_force, add_seed
from sedkit.core.errors import UsageError
from sedkit.core.facts import joined, overlap, refuse_to_tune
from sedkit.core.log import log
from sedkit.core.stamp import Step, facts_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sedkit.postprocessing.tuning.base import objective_names

    parser.add_argument(
        "scores", metavar="SCORES", help="scores of the tuning set: scores.h5, or a folder of score TSVs"
    )
    parser.add_argument("--reference", metavar="LABELS.tsv", help="its events; for --objective tagging, tags will do")
    parser.add_argument(
        "--objective",
        choices=objective_names(),
        help="what is maximised; without it the rules of --start are written as they are. tagging: clip thresholds by "
        "F1; psds1, psds2: median windows; else frame thresholds, median windows, gaps and durations by the F1 of the "
        "metric of that name",
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
        "--tags",
        metavar="SCORES.h5|WEAK.tsv",
        help="what opens the clip gate in place of the scores' own clip scores, as in `sedkit decode`",
    )
    parser.add_argument(
        "--groups",
        metavar="CLIPS.tsv",
        help="filename group: clips of one group are in one part of cross-validation",
    )
    parser.add_argument(
        "--labels",
        metavar="LABELS.txt|NAME",
        help="keep these classes of the reference, one per line, or a list of metadata/classes; its clips stay",
    )
    add_seed(parser, "of the parts in which the value is cross-validated (default: 0)")
    add_flag(parser, "--lenient", "leave broken rows of the reference out, counted, instead of ending (default: false)")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Tune, unless the output is up to date."""
    from sedkit.dataio.event_formats import files_at

    if (args.objective is None) is not (args.reference is None):
        given = "--reference" if args.objective is None else "--objective"
        raise UsageError(f"{given} is given alone, expected --objective and --reference, or neither (--start as it is)")
    inputs: dict[str, Any] = {"scores": args.scores}
    if args.reference is not None:
        inputs["reference"] = files_at(args.reference)
    inputs |= {name: path for name in ("tags", "groups") if (path := getattr(args, name))}
    for name in ("scores", "tags") if args.objective is not None else ():
        if name in inputs:
            refuse_to_tune(inputs[name], facts_of(inputs[name]))
    config: dict[str, Any] = {name: getattr(args, name) for name in ("objective", "seed", "lenient")}
    (inputs if Path(args.start).is_file() else config)["start"] = args.start
    if args.labels:
        # A name without an ending is that of a list which comes along.
        (inputs if Path(args.labels).suffix or Path(args.labels).is_file() else config)["labels"] = args.labels
    Step("tune", args.out, config, inputs, args.force).run(lambda: _tune(args))


def _tune(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from sedkit.core.files import sha256_file
    from sedkit.dataio.references import content_hash
    from sedkit.dataio.store import read_scores
    from sedkit.evaluation.reading import read_groups, read_labels
    from sedkit.postprocessing import read_postprocessing
    from sedkit.postprocessing.gate import read_tags
    from sedkit.postprocessing.tune import describe, tune

    scores = read_scores(args.scores)
    if args.objective is None:
        read_postprocessing(args.start, scores.labels).write(args.out)
        return
    reference = _read_reference(args.reference, None if args.labels else scores.labels, args.lenient)
    if classes := read_labels(args.labels, reference):
        reference = reference.keep_labels([name for name in classes if name in reference.labels])
    start = read_postprocessing(args.start, scores.labels)
    tags = read_tags(args.tags, scores.labels) if args.tags else None
    groups = read_groups(args.groups, scores.named_as(reference.filenames).filenames) if args.groups else None
    facts = joined(facts_of(args.scores), facts_of(args.tags) if args.tags else {}, start.facts)
    selected = facts.get("saw", {}).get("selected", ())
    if where := overlap(facts.get("of", ()), selected):
        log.warning("%s: the run was selected on these clips too (%s): rules come out too sure", args.scores, where)
    rules = tune(scores, reference, args.objective, start, args.seed, tags, groups)
    tuned_on = {
        "path": args.reference,
        "sha256": content_hash(reference) if Path(args.reference).is_dir() else sha256_file(args.reference),
        "clips": len(scores.filenames),
        "scores": args.scores,
        "producer": scores.producer,
        "of": [*facts.get("of", ()), *facts.get("tuned", ())],
        "seed": args.seed,
    }
    replace(rules, tuned_on=tuned_on).write(args.out)
    print(describe(rules))
    print(
        f"{args.objective}: {rules.value:.4f} on these {len(scores.filenames)} clips, "
        f"{rules.cross_validated:.4f} with rules chosen on other clips"
    )


def _read_reference(path: str, labels: tuple[str, ...] | None, lenient: bool) -> Any:
    """Read events or tags, told apart by the table's columns."""
    from sedkit.dataio.event_formats import is_table
    from sedkit.dataio.rows import columns_of
    from sedkit.dataio.tables import read_strong, read_weak

    if is_table(path) and "event_labels" in columns_of(path):
        return read_weak(path, labels, lenient)
    return read_strong(path, labels, lenient, soft=True).active()
