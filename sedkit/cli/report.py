"""`sedkit report`: experiments, or any system's output -> a page; figures for papers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sedkit.cli._options import PREDICTION, add_force, add_prediction, number, words
from sedkit.core.errors import UsageError

if TYPE_CHECKING:
    from sedkit.dataio.datadir import DataDir
    from sedkit.report.runs import RunSubject

#: Clips of each set: in a page, and with figures of their own.
_PAGE_CLIPS, _FIGURE_CLIPS = 100, 4
_PAGE_MB = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="EXP|DATA_DIR",
        help="experiments, side by side where there are several; scores (.h5, a folder of TSVs) or a table of events "
        "of any system; a checkpoint, for figures; a data dir is as one of --data",
    )
    parser.add_argument(
        "--data",
        action="append",
        type=Path,
        default=[],
        metavar="DATA_DIR",
        help="data dir of a set, more of them with --data again; the set is called as the data dir (default: where the "
        "experiment and its results say)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="gets index.html (default: EXP/report)")
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help="gets <recording>.<figure>.png, <set>.<figure>.png and .svg; no page then, unless --out is given too",
    )
    parser.add_argument("--set", type=words, metavar="NAME,...", help="of experiments only these sets")
    parser.add_argument(
        "--clips",
        type=_clips,
        metavar="NAME,...|N",
        help="of each set, with sound and spectrogram in the page, and with figures: which, with or without their "
        f"audio ending, or how many (default: {_PAGE_CLIPS} in the page, {_FIGURE_CLIPS} with figures)",
    )
    parser.add_argument(
        "--max-size",
        type=number(0, 2000),
        metavar="MB",
        help=f"most megabytes of sounds and pictures in the page, which says what is left out (default: {_PAGE_MB:g})",
    )
    parser.add_argument("--fold", type=words, metavar="FOLD,...", help="only these folds of the data dirs")
    for name, what, file in (("scores", "scores", "SET.h5"), ("events", "decoded events", "SET.tsv")):
        parser.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"{what} of the one set (default: EXP/{name}/{file})"
        )
    add_prediction(parser)
    add_force(parser)


def _clips(text: str) -> int | list[str]:
    # Mixtures are named 00012: digits that begin with 0 are a name.
    is_count = text.isdecimal() and (text == "0" or not text.startswith("0"))
    return int(number(1, whole=True)(text)) if is_count else words(text)


def run(args: argparse.Namespace) -> None:
    """Write the page, and figures where they are asked for."""
    from sedkit.dataio.datadir import DataDir
    from sedkit.report.panels import figure_class
    from sedkit.report.runs import open_runs

    if args.figures is None:
        for name, default in PREDICTION.items():
            if getattr(args, name) != default:
                raise UsageError(f"--{name} is of the network that figures of recordings ask: give --figures too")
    elif args.out is None and args.max_size is not None:
        raise UsageError("--max-size is of the page: give --out too")
    figure_class()
    places = [path for path in args.runs if (path / "clips.tsv").is_file()]
    paths = [path for path in args.runs if path not in places]
    if not paths:
        raise UsageError(f"{args.runs[0]} is a data dir: expected an experiment or a system's output beside it")
    given = [DataDir(path) for path in (*places, *args.data)]
    runs = open_runs(paths, given, args.set, args.scores, args.events)
    if args.figures is not None:
        _write_figures(args, runs, given)
    if args.figures is None or args.out is not None:
        _write_page(args, runs, given)


def _write_figures(args: argparse.Namespace, runs: list[RunSubject], given: list[DataDir]) -> None:
    from sedkit.report.gallery import Network, write_gallery
    from sedkit.report.reported import PageOptions

    network = Network(**{name: getattr(args, name) for name in Network._fields})
    write_gallery(runs, given, args.figures, PageOptions(args.clips or _FIGURE_CLIPS, folds=args.fold), network)


def _write_page(args: argparse.Namespace, runs: list[RunSubject], given: list[DataDir]) -> None:
    from sedkit.core.stamp import Step
    from sedkit.report.page import write_page
    from sedkit.report.reported import PageOptions, sources_of

    if args.out is None and (len(runs) > 1 or not runs[0].is_folder):
        alone = "a checkpoint" if runs[0].has_network else "an output alone"
        what = f"{len(runs)} experiments" if len(runs) > 1 else f"{runs[0].path} is {alone}, no experiment's folder"
        raise UsageError(f"{what}: --out DIR says where the page goes")
    clips = _PAGE_CLIPS if args.clips is None else args.clips
    options = PageOptions(clips, _PAGE_MB if args.max_size is None else args.max_size, args.fold)
    page = (args.out or runs[0].path / "report") / "index.html"
    config = {"clips": options.clips, "max_mb": options.max_mb, "folds": options.folds, "runs": [r.name for r in runs]}
    inputs = sources_of(runs, given)
    Step("report", page, config, inputs, args.force).run(lambda: write_page(runs, given, page, options))
