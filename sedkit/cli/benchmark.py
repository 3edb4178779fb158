"""`sedkit benchmark`: results beside the official figures."""

from __future__ import annotations

import argparse

from sedkit.cli._options import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sedkit benchmark`."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULTS.json|EXP",
        help="results files or experiments; seeds of a system are pooled",
    )
    parser.add_argument(
        "--contrast",
        type=words,
        metavar="A-B,…",
        help="whether A is better than B over the folds and seeds that both have; a@0-b@0-a@10+b@10: whether A is "
        "ahead by more at 0 than at 10 dB",
    )
    parser.add_argument("--set", metavar="NAME", help="of experiments only this set (default: every set with results)")
    parser.add_argument(
        "--markdown", metavar="F", help="write the tables as Markdown, with the sources of the official figures"
    )
    parser.add_argument("--csv", metavar="F", help="write every figure as a row of a CSV file")
    parser.add_argument("--json", metavar="F", help="write the comparison as JSON")
    parser.add_argument(
        "--rows", metavar="RESULTS.md", help="write or renew a row per system in a recipe's results page"
    )
    parser.add_argument(
        "--command", metavar="TEXT", help="with --rows: the command line that made the figures (default: this one)"
    )


def run(args: argparse.Namespace) -> None:
    """Print the comparison, and write it where asked."""
    import shlex
    import sys

    from sedkit.core.errors import UsageError
    from sedkit.core.files import write_json, write_text
    from sedkit.leaderboard.contrasts import contrasts
    from sedkit.leaderboard.results_page import update_rows
    from sedkit.leaderboard.runs import controls, load_runs
    from sedkit.leaderboard.show import as_csv, as_json, as_markdown, as_text
    from sedkit.leaderboard.systems import group_runs
    from sedkit.leaderboard.table import benchmark

    if args.command and not args.rows:
        raise UsageError("--command belongs to --rows")
    runs = load_runs(args.results, args.set)
    groups = group_runs([*runs, *controls(runs)])
    comparison = benchmark(groups, contrasts(args.contrast or (), runs))
    print(as_text(comparison), end="")
    if args.markdown:
        write_text(args.markdown, as_markdown(comparison))
    if args.csv:
        write_text(args.csv, as_csv(comparison))
    if args.json:
        write_json(args.json, as_json(comparison))
    if args.rows:
        command = args.command or shlex.join(["sedkit", *sys.argv[1:]])
        update_rows(args.rows, groups, command)
