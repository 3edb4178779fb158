"""`sedkit report`: experiment + data dir -> figures."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from sedkit.cli._options import add_prediction, number, words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("data", type=Path, metavar="DATA_DIR", help="whose recordings are drawn, and what is known")
    parser.add_argument(
        "--figures",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets <recording>.<figure>.png and <set>.<figure>.png",
    )
    parser.add_argument(
        "--clips",
        type=_clips,
        default=4,
        metavar="NAME,...|N",
        help="which, with or without their audio ending, or how many, evenly spread over the data dir (default: 4)",
    )
    parser.add_argument("--fold", type=words, metavar="FOLD,...", help="only these folds of the data dir")
    for name, what, file in (("scores", "scores", "SET.h5"), ("events", "decoded events", "SET.tsv")):
        parser.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"{what} of the whole set (default: EXP/{name}/{file})"
        )
    add_prediction(parser)


def _clips(text: str) -> int | list[str]:
    # Mixtures are named 00012: digits that begin with 0 are a name.
    is_count = text.isdecimal() and (text == "0" or not text.startswith("0"))
    return int(number(1, whole=True)(text)) if is_count else words(text)


def run(args: argparse.Namespace) -> None:
    """Draw the figures of each recording."""
    from sedkit.core.log import log
    from sedkit.core.parallel import progress
    from sedkit.dataio.datadir import DataDir
    from sedkit.inference.clips import checkpoint_of
    from sedkit.report.figures import file_stems, left_out, write_figures
    from sedkit.report.panels import figure_class
    from sedkit.report.sets import SetSubject
    from sedkit.report.subject import Subjects, chosen_clips

    figure_class()
    checkpoint, network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    data = DataDir(args.data)
    names = chosen_clips(data, args.clips, args.fold)
    of_set = SetSubject.of(data, args.experiment, args.scores, args.events, args.fold)
    file_stems([*names, of_set.name])
    rules = args.experiment / "postprocessing.yaml"
    tuned = rules if rules.is_file() else None
    subjects = Subjects(checkpoint, data, tuned, args.device, args.precision, args.window, args.hop, network)
    written, lines = 0, Counter[str]()
    for name in progress(names, description="report"):
        subject = subjects.of(name)
        written += len(write_figures(subject, args.figures))
        lines.update(left_out(subject))
    for line, n in lines.items():
        log.info("report: %s%s", line, "" if n == len(names) else f" ({n} of {len(names)} recordings)")
    for line in left_out(of_set):
        log.info("report: %s", line)
    n_set = len(write_figures(of_set, args.figures))
    log.info("report: %s: %d figures of %d recordings, %d of the set", args.figures, written, len(names), n_set)
