"""`sedkit report`: experiment + data dir -> figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_prediction, number, words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("data", type=Path, metavar="DATA_DIR", help="whose recordings are drawn, and what is known")
    parser.add_argument("--figures", type=Path, required=True, metavar="DIR", help="gets <recording>.<figure>.png")
    parser.add_argument(
        "--clips",
        type=_clips,
        default=4,
        metavar="NAME,...|N",
        help="which, or how many, evenly spread over the data dir (default: 4)",
    )
    parser.add_argument("--fold", type=words, metavar="FOLD,...", help="only these folds of the data dir")
    add_prediction(parser)


def _clips(text: str) -> int | list[str]:
    return int(number(1, whole=True)(text)) if text.isdecimal() else words(text)


def run(args: argparse.Namespace) -> None:
    """Draw the figures of each recording."""
    from sedkit.dataio.datadir import DataDir
    from sedkit.inference.clips import checkpoint_path
    from sedkit.report.subject import chosen_clips

    checkpoint, data = checkpoint_path(args.experiment, args.checkpoint), DataDir(args.data)
    names = chosen_clips(data, args.clips, args.fold)
    from sedkit.core.log import log
    from sedkit.core.parallel import progress
    from sedkit.report.figures import write_figures
    from sedkit.report.subject import Subjects

    rules = args.experiment / "postprocessing.yaml"
    subjects = Subjects(
        checkpoint, data, rules if rules.is_file() else None, args.device, args.precision, args.window, args.hop
    )
    written = [write_figures(subjects.of(name), args.figures) for name in progress(names, description="report")]
    log.info("report: %s: %d figures of %d recordings", args.figures, sum(map(len, written)), len(names))
