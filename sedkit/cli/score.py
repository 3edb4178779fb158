"""`sedkit score`: figures of a system's output against a reference."""

from __future__ import annotations

import argparse
import math
from typing import Any

from sedkit.cli._options import add_force, boolean, number, words
from sedkit.core.errors import UsageError, suggest

HELP = "figures of events or scores against a reference"

_METRICS = ("event", "segment", "intersection", "psds1", "psds2", "tagging", "pauc")
#: Options that name a file or folder the figures depend on.
_INPUTS = ("reference", "estimate", "operating_points", "scores", "durations", "labels", "groups", "clips", "against")
_VARIANTS = ("operating_points", "exact", "operating_points_0.3.0")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    share = number(0, 1)
    add = parser.add_argument
    add(
        "--reference",
        required=True,
        metavar="REF.tsv",
        help="filename onset offset event_label (or a weak table: tagging only)",
    )
    add("--estimate", metavar="EST.tsv", help="table for event, segment and intersection figures")
    add("--operating-points", metavar="DIR", help="one table per threshold, file names ending in it: PSDS")
    add("--scores", metavar="SCORES", help="scores.h5 or a folder of per-clip score TSVs: exact PSDS, tagging, pauc")
    add(
        "--durations",
        metavar="DUR.tsv",
        help="filename duration: PSDS and --baselines need it, intersection and pauc use it",
    )
    add("--metrics", type=words, metavar="A,B,…", help=f"of {','.join(_METRICS)} (default: those whose input is given)")
    add(
        "--threshold",
        metavar="T|all",
        help="operating point for event, segment and intersection figures; tagging threshold",
    )
    add("--labels", metavar="LABELS.txt", help="keep these classes, one per line; the clips stay")
    add("--clips", metavar="CLIPS.tsv", help="keep these clips of both sides")
    add("--fold", type=words, metavar="NAME[,NAME]", help="of --clips, only those with this fold")
    add("--groups", metavar="CLIPS.tsv", help="filename group: resample groups instead of clips")
    add(
        "--collar",
        type=number(1e-6, 1e6),
        default=0.2,
        metavar="S",
        help="event-based: tolerance of times in seconds (0.2)",
    )
    add(
        "--offset-fraction",
        type=share,
        default=0.2,
        metavar="X",
        help="event-based: offset tolerance as a share of the length (0.2)",
    )
    add(
        "--segment",
        type=number(1e-3, 1e6),
        default=1.0,
        metavar="S",
        help="segment-based: length of a segment in seconds (1.0)",
    )
    add("--dtc", type=share, default=0.5, metavar="X", help="intersection-based: detection tolerance (0.5)")
    add("--gtc", type=share, default=0.5, metavar="X", help="intersection-based: reference coverage (0.5)")
    add(
        "--cttc",
        type=share,
        default=0.3,
        metavar="X",
        help="intersection-based: cross-trigger tolerance (0.3); no part in F1, given with the parameters",
    )
    add("--psds-variant", choices=_VARIANTS, help="default: operating points where given, else exact")
    add("--undefined", choices=("official", "zero"), default="official", help="what 0/0 counts as (official)")
    add(
        "--overlaps",
        choices=("refuse", "merge"),
        default="refuse",
        help="same-class overlaps in PSDS and intersection (refuse)",
    )
    add(
        "--bootstrap",
        type=number(100, 100_000, whole=True),
        metavar="N",
        help="95 %% intervals from N resamples (100 or more)",
    )
    add("--seed", type=number(0, 2**32 - 1, whole=True), metavar="N", help="of the resamples (0)")
    add("--against", metavar="OTHER", help="another table, folder of operating points or scores: paired difference")
    add(
        "--official",
        type=boolean,
        default=False,
        metavar="true|false",
        help="also run sed_eval and psds_eval; fail where they differ",
    )
    add(
        "--baselines",
        type=boolean,
        default=False,
        metavar="true|false",
        help="also score no event at all, and every class throughout",
    )
    add("--json", metavar="OUT.json", help="write the figures there instead of printing a table")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Score and print, or write the JSON."""
    for metric in args.metrics or ():
        if metric not in _METRICS:
            raise UsageError(f"--metrics {metric}: unknown{suggest(metric, _METRICS)}, expected {','.join(_METRICS)}")
    threshold = _threshold(args.threshold)
    if args.seed is not None and not (args.bootstrap or args.against):
        raise UsageError("--seed is that of the resamples: give --bootstrap N too")
    if not args.json:
        print(_scored(args, threshold)[1], end="")
        return
    from pathlib import Path

    from sedkit.core.files import write_json
    from sedkit.core.log import log
    from sedkit.core.stamp import Step
    from sedkit.evaluation.run_names import run_of_path

    given = {name: value for name, value in vars(args).items() if name not in ("json", "force")}
    inputs = {name: given.pop(name) for name in _INPUTS if given[name] is not None and Path(given[name]).exists()}
    missing = Path(args.reference).with_name("missing.tsv")
    if missing.is_file():
        inputs["missing"] = str(missing)
    # What the figures say of their run is read off paths, of which nothing else counts.
    scored = Path(args.estimate or args.scores or args.operating_points or "").resolve()
    config = {"options": given, "run": run_of_path(str(scored)), "set": Path(args.reference).resolve().parent.name}

    def score() -> None:
        write_json(args.json, _scored(args, threshold)[0])
        log.info("figures written to %s", args.json)

    Step("score", Path(args.json), config, inputs, args.force).run(score)


def _scored(args: argparse.Namespace, threshold: Any) -> tuple[dict[str, Any], str]:
    """Return the figures as data, and as a table for people."""
    from sedkit.evaluation.event import EventParameters
    from sedkit.evaluation.intersection import IntersectionParameters
    from sedkit.evaluation.measures import Options
    from sedkit.evaluation.score import Request, score_files
    from sedkit.evaluation.segment import SegmentParameters
    from sedkit.evaluation.text import as_text

    results = score_files(
        Request(
            reference=args.reference,
            estimate=args.estimate,
            operating_points=args.operating_points,
            scores=args.scores,
            durations=args.durations,
            metrics=tuple(dict.fromkeys(args.metrics)) if args.metrics else None,
            threshold=threshold,
            labels=args.labels,
            groups=args.groups,
            clips=args.clips,
            folds=tuple(args.fold) if args.fold else None,
            options=Options(
                event=EventParameters(args.collar, args.offset_fraction),
                segment=SegmentParameters(args.segment),
                intersection=IntersectionParameters(args.dtc, args.gtc, args.cttc),
                psds_variant=args.psds_variant,
                undefined=args.undefined,
                overlaps=args.overlaps,
            ),
            bootstrap=args.bootstrap,
            seed=args.seed or 0,
            against=args.against,
            official=args.official,
            baselines=args.baselines,
        )
    )
    return results, as_text(results)


def _threshold(text: str | None) -> Any:
    if text is None or text == "all":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"--threshold {text}: expected a number or all")
    return value
