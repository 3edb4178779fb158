"""Side-by-side measurements.

    python -m benchmarks [NAME ...] [--quick] [--runs N] [--threads N] [--json F] [--results F]

Without names, everything that is not for calls by name alone, each in a process of its own, and a page of the results:
`benchmarks/RESULTS.md`, unless the form is the short one. Status 1 where a result differs from its peer's. Whether a
ratio that is asked for was reached is said, and no more: it is a clock's word.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks._measure import Comparisons, measure, measure_apart
from benchmarks._results import Measured, machine, write_results
from sedkit.cli._options import Parser, number
from sedkit.cli.main import guarded
from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import write_json

HERE = Path(__file__).resolve().parent
#: Where a call of everything leaves its page.
RESULTS = HERE / "RESULTS.md"


class Benchmark(NamedTuple):
    """What is known of a benchmark before it is imported.

    Attributes
    ----------
    title
        First line of its docstring.
    comparisons
        Those of its report.
    by_name
        Whether it is run only where it is named.
    """

    title: str
    comparisons: Comparisons
    by_name: bool


def known() -> dict[str, Benchmark]:
    """Return each benchmark; nothing is imported."""
    benchmarks = {}
    for path in sorted(HERE.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            ast.unparse(node.target): node.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and node.value is not None
        }
        if "COMPARISONS" in constants:
            title = (ast.get_docstring(tree) or "").split("\n")[0]
            benchmarks[path.stem] = Benchmark(title, ast.literal_eval(constants["COMPARISONS"]), "BY_NAME" in constants)
    return benchmarks


def listing() -> str:
    """Return every benchmark with its comparisons, which are the names in the JSON."""
    lines = []
    for name, (title, comparisons, by_name) in known().items():
        lines.append(f"{name}: {title}" + (" Only where it is named." if by_name else ""))
        for key, (ours, peer, least) in comparisons.items():
            lines.append(
                f"    {key:36}{ours} against {peer}" + (f": {least:g} times as fast, or more" if least else "")
            )
    return "\n".join(lines)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m benchmarks",
        description="Side-by-side measurements: both sides do the same work, and their results must be equal.",
        epilog="The JSON holds, for each comparison, {ours, peer, ratio, spread, equal, limit_share}: median seconds\n"
        "of both, the median over the runs of peer / ours within a run, the distance of that ratio's quartiles as a\n"
        "part of it, whether the results agree, and the seconds of what cannot be avoided on this machine as a part\n"
        "of ours (null: no such limit is measured). The first comparison has the benchmark's name, others add a\n"
        "word:\n\n" + listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks (default: all that need not be named)")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and their comparisons, and end")
    parser.add_argument("--quick", action="store_true", help="a short form, seconds each, that no ratio is asked of")
    parser.add_argument("--runs", type=number(2, 1000, whole=True), metavar="N", help="runs of each contestant")
    parser.add_argument(
        "--threads",
        type=number(1, 1024, whole=True),
        default=1,
        metavar="N",
        help="1: processor time; more: wall clock",
    )
    parser.add_argument(
        "--curves", action="store_true", help="run the benchmark `curves`, too: whole trainings, an hour"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write what was measured")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="F.md",
        help="write a page of it, with machine and versions (default without names and --quick: benchmarks/RESULTS.md)",
    )
    parser.refuse_unknown(argv)
    return parser.parse_intermixed_args(argv)


def main(argv: Sequence[str]) -> int:
    """Measure, print, write; return 1 where a result differs."""
    args, benchmarks = arguments(argv), known()
    if args.list:
        print(listing())
        return 0
    for name in args.names:
        if name not in benchmarks:
            raise UsageError(
                f"unknown benchmark {name!r}{suggest(name, benchmarks)}, there are {listed(benchmarks, 99)}"
            )
    for option, path in (("--json", args.json), ("--results", args.results)):
        if path and path.is_dir():
            raise UsageError(f"{option} {path}: is a folder, expected a place for a file")
    usual = [name for name, benchmark in benchmarks.items() if not benchmark.by_name]
    names = list(dict.fromkeys([*(args.names or usual), *(["curves"] if args.curves else [])]))
    results = args.results or (None if args.names or args.quick else RESULTS)
    facts = machine(os.getloadavg()[0])
    measured: list[Measured] = []
    failures: dict[str, SedkitError] = {}
    for name in names:
        try:
            report = (measure if len(names) == 1 else measure_apart)(name, args.quick, args.runs, args.threads)
        except SedkitError as error:
            # What was measured before and comes after is not lost by it.
            failures[name] = error
            continue
        measured.append(Measured(name, benchmarks[name].comparisons, report, report.judged and not args.quick))
        print(measured[-1].text(), flush=True)
    missing = [f"{name}: not measured: {error}" for name, error in failures.items()]
    if args.json:
        write_json(args.json, {key: row for one in measured for key, row in one.rows.items()})
    if results:
        write_results(results, argv, facts, measured, missing)
    for error in failures.values():
        raise type(error)("; ".join(missing))
    return 0 if all(row["equal"] for one in measured for row in one.rows.values()) else 1


if __name__ == "__main__":
    sys.exit(guarded("benchmarks", lambda: main(sys.argv[1:])))
