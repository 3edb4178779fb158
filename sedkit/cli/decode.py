"""`sedkit decode`: scores to events."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.cli._options import add_force, add_jobs, jobs_of
from sedkit.core.errors import UsageError
from sedkit.core.facts import joined
from sedkit.core.log import log
from sedkit.core.stamp import Step, facts_of

if TYPE_CHECKING:
    from sedkit.dataio.events import Tags
    from sedkit.dataio.scores import Scores
    from sedkit.postprocessing.rules import Postprocessing

_HDF5 = (".h5", ".hdf5")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scores", metavar="SCORES", help="scores.h5, or a folder of per-clip score TSVs")
    parser.add_argument(
        "--postprocessing",
        metavar="POST.yaml|NAME|T",
        default="0.5",
        help="rules: a file made by `sedkit tune` or by hand, a preset (published, tfseg, baseline2018, baseline2019, "
        "baseline2021, baseline2024, fdy_crnn, mil, mil_derivative, mil_area, csebbs), or one frame threshold for all "
        "classes (default: 0.5)",
    )
    parser.add_argument(
        "--tags",
        metavar="SCORES.h5|WEAK.tsv",
        help="what opens the clip gate in place of the scores' own clip scores: other scores, or a table of tags or of "
        "events",
    )
    parser.add_argument("--out", metavar="EVENTS.tsv", help="the table of events")
    parser.add_argument(
        "--operating-points-out", metavar="DIR", help="a folder with a table of events per threshold, as PSDS needs it"
    )
    parser.add_argument(
        "--operating-points",
        metavar="N|T,…",
        help="how many thresholds, or which ones (default: 50, from 0.01 to 0.99)",
    )
    parser.add_argument(
        "--scores-out",
        metavar="SCORES.h5|DIR",
        help="the scores after all that the rules do but the threshold: for exact PSDS and, as a folder of TSVs, for "
        "the challenge since 2023",
    )
    add_jobs(parser, "one")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Decode, skipping what is up to date."""
    outputs = [args.out, args.operating_points_out, args.scores_out]
    if not any(outputs):
        raise UsageError("nothing to write: give --out, --operating-points-out or --scores-out")
    if args.operating_points is not None and args.operating_points_out is None:
        raise UsageError("--operating-points needs --operating-points-out, the folder to write them to")
    inputs = {"scores": args.scores} | ({"tags": args.tags} if args.tags else {})
    config: dict[str, Any] = {}
    (inputs if Path(args.postprocessing).is_file() else config)["postprocessing"] = args.postprocessing
    points = args.operating_points or "50"
    made = _Decoded(args, points)
    for out, kind, write in (
        (args.out, {}, made.write_events),
        (args.operating_points_out, {"operating_points": points}, made.write_points),
        (args.scores_out, {"scores_out": Path(args.scores_out or "").suffix in _HDF5}, made.write_scores),
    ):
        if out:
            step = Step("decode", out, config | kind, inputs, args.force, facts=made.facts)
            step.run(partial(made.make, step, write))


class _Decoded:
    """What is decoded, read when the first output is due; writes each output."""

    def __init__(self, args: argparse.Namespace, points: str) -> None:
        self.args, self.points = args, points
        self._content: Mapping[str, Any] = {}

    def make(self, step: Step, write: Callable[[], None]) -> None:
        """Write the output of a step; what an earlier one has read may have been replaced since."""
        if step.content() != self._content:
            self._content = step.content()
            vars(self).pop("given", None)
        write()

    @cached_property
    def given(self) -> tuple[Scores, Postprocessing, Scores | Tags | None]:
        """Scores, rules and tags."""
        from sedkit.dataio.store import read_scores
        from sedkit.postprocessing import read_postprocessing
        from sedkit.postprocessing.gate import read_tags
        from sedkit.postprocessing.operating_points import parse_thresholds

        # Refused before anything is written.
        parse_thresholds(self.points)
        scores = read_scores(self.args.scores)
        rules = read_postprocessing(self.args.postprocessing, scores.labels)
        return scores, rules, read_tags(self.args.tags, scores.labels) if self.args.tags else None

    @cached_property
    def jobs(self) -> int:
        """In how many processes."""
        return 1 if self.args.jobs is None else jobs_of(self.args)

    def facts(self) -> dict[str, Any]:
        """Return what the scores' run saw, and what gave the tags and the rules."""
        scores = facts_of(self.args.scores)
        tags = facts_of(self.args.tags) if self.args.tags else {}
        return joined(scores, tags, self.given[1].facts, run=scores.get("run", {}))

    def write_events(self) -> None:
        from sedkit.dataio.tables import write_events
        from sedkit.postprocessing.shards import decode_shards

        events = decode_shards(*self.given, self.jobs)
        write_events(self.args.out, events)
        log.info("%s: %d events in %d clips", self.args.out, events.n_events, len(events.filenames))

    def write_points(self) -> None:
        from sedkit.postprocessing.operating_points import parse_thresholds
        from sedkit.postprocessing.shards import decode_thresholds_shards

        scores, rules, tags = self.given
        points = decode_thresholds_shards(scores, parse_thresholds(self.points), rules, tags, self.jobs)
        points.write(self.args.operating_points_out)
        log.info("%s: %d operating points", self.args.operating_points_out, len(points))

    def write_scores(self) -> None:
        from sedkit.dataio.score_tsvs import write_score_tsvs
        from sedkit.dataio.store import write_scores
        from sedkit.postprocessing.shards import processed_scores_shards

        scores = processed_scores_shards(*self.given, self.jobs)
        write = write_scores if Path(self.args.scores_out).suffix in _HDF5 else write_score_tsvs
        write(self.args.scores_out, scores)
        log.info("%s: processed scores of %d clips", self.args.scores_out, len(scores.filenames))
