"""`sedkit fuse`: the mean of several systems' scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_force
from sedkit.core.errors import UsageError
from sedkit.core.facts import joined
from sedkit.core.log import log
from sedkit.core.stamp import Step, facts_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "scores",
        metavar="SCORES",
        nargs="+",
        help="scores.h5 files or folders of per-clip score TSVs; the latter hold no clip scores: with one among them "
        "frame scores alone are fused",
    )
    parser.add_argument("--weights", metavar="w,…", help="one weight above 0 per file (default: all alike)")
    parser.add_argument("--out", metavar="SCORES.h5", required=True, help="the ensemble's scores, none of SCORES")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Fuse, unless the output is up to date."""
    weights = None
    if args.weights is not None:
        try:
            weights = [float(word) for word in args.weights.split(",")]
        except ValueError:
            raise UsageError(f"--weights {args.weights!r}: expected numbers separated by commas") from None
        if len(weights) != len(args.scores):
            raise UsageError(f"--weights: {len(weights)} weights for {len(args.scores)} files, expected one each")
    if len(args.scores) < 2:
        raise UsageError("one scores file, expected at least two to fuse")
    places = [Path(path).resolve() for path in args.scores]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise UsageError(
                f"{args.scores[i]} is given twice; give each system once (--weights tells how much each counts)"
            )
    step = Step(
        "fuse",
        args.out,
        {"weights": weights},
        args.scores,
        args.force,
        facts=lambda: joined(*map(facts_of, args.scores)),
    )
    step.run(lambda: _fuse(args, weights))


def _fuse(args: argparse.Namespace, weights: list[float] | None) -> None:
    from sedkit.dataio.store import read_scores, write_scores
    from sedkit.postprocessing.fuse import fuse

    fused = fuse([read_scores(path) for path in args.scores], weights, args.scores)
    write_scores(args.out, fused)
    log.info("%s: %s", args.out, fused.producer)
