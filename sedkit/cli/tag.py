"""`sedkit tag`: clip scores to tags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.cli._options import add_force
from sedkit.core.facts import joined
from sedkit.core.log import log
from sedkit.core.stamp import Step, facts_of

if TYPE_CHECKING:
    from sedkit.postprocessing.rules import Postprocessing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scores", metavar="SCORES", help="scores.h5 with clip scores")
    parser.add_argument(
        "--postprocessing",
        metavar="POST.yaml|NAME|T",
        required=True,
        help="rules whose clip thresholds are taken: a file made by `sedkit tune --objective tagging` or by hand, a "
        "preset, or one clip threshold for all classes",
    )
    parser.add_argument(
        "--out",
        metavar="WEAK.tsv",
        required=True,
        help="every clip with its classes: for `--tags` of decode and tune, and as labels to train on",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Tag, unless the table is up to date."""
    inputs = {"scores": args.scores}
    config: dict[str, Any] = {}
    (inputs if Path(args.postprocessing).is_file() else config)["postprocessing"] = args.postprocessing
    facts: dict[str, Any] = {}
    step = Step("tag", args.out, config, inputs, args.force, facts=lambda: facts)
    step.run(lambda: facts.update(_tag(args)))


def _tag(args: argparse.Namespace) -> dict[str, Any]:
    """Write the table; return what is known of it."""
    from sedkit.dataio.store import read_scores
    from sedkit.dataio.tables import write_weak
    from sedkit.postprocessing.gate import tags_above

    scores = read_scores(args.scores)
    rules = _rules(args.postprocessing, scores.labels)
    tags = tags_above(scores, rules)
    write_weak(args.out, tags)
    log.info("%s: %d tags of %d clips", args.out, int(tags.present.sum()), len(tags.filenames))
    facts = facts_of(args.scores)
    return joined(facts, rules.facts, run=facts.get("run", {}))


def _rules(word: str, labels: tuple[str, ...]) -> Postprocessing:
    """Return the rules that a word stands for; a number is a clip threshold here."""
    from sedkit.postprocessing import read_postprocessing

    rules = read_postprocessing(word, labels)
    try:
        threshold = float(word)
    except ValueError:
        return rules
    return rules.changed(clip_threshold=threshold)
