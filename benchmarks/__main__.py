"""Side-by-side measurements.

    python -m benchmarks NAME [NAME ...] [--quick] [--runs N] [--threads N] [--json F]

Status 1 where a result differs from its peer's. Whether a ratio that is asked for was reached is said, and no more: it
is a clock's word.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._measure import Comparisons, Form, compared, table, verdict
from sedkit.cli._options import Parser, number
from sedkit.cli.main import guarded
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.files import write_json

HERE = Path(__file__).resolve().parent
#: Runs of the short form.
QUICK_RUNS = 2


def known() -> dict[str, tuple[str, Comparisons]]:
    """Return each benchmark with the first line of its docstring and its comparisons; nothing is imported."""
    benchmarks = {}
    for path in sorted(HERE.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "COMPARISONS" and node.value:
                title = (ast.get_docstring(tree) or "").split("\n")[0]
                benchmarks[path.stem] = (title, ast.literal_eval(node.value))
    return benchmarks


def listing() -> str:
    """Return every benchmark with its comparisons, which are the names in the JSON."""
    lines = []
    for name, (title, comparisons) in known().items():
        lines.append(f"{name}: {title}")
        for key, (ours, peer, least) in comparisons.items():
            lines.append(
                f"    {key:26}{ours} against {peer}" + (f": {least:g} times as fast, or more" if least else "")
            )
    return "\n".join(lines)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m benchmarks",
        description="Side-by-side measurements: both sides do the same work, and their results must be equal.",
        epilog="The JSON holds, for each comparison, {ours, peer, ratio, spread, equal}: median seconds of both,\n"
        "the median over the runs of peer / ours within a run, the distance of that ratio's quartiles as a part of\n"
        "it, and whether the results agree. The first comparison has the benchmark's name, others add a word:\n\n"
        + listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks, each run in turn")
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
    names = dict.fromkeys([*args.names, *(["curves"] if args.curves else [])])
    if not names:
        raise UsageError(f"no benchmark is named, expected some of {listed(benchmarks, 99)}")
    if args.json and args.json.is_dir():
        raise UsageError(f"--json {args.json}: is a folder, expected a place for a file")
    warnings.simplefilter("ignore")
    import threadpoolctl

    measured: dict[str, dict[str, Any]] = {}
    for name in names:
        module, (_, comparisons) = importlib.import_module(f"benchmarks.{name}"), benchmarks[name]
        form = Form(args.quick, args.runs or (QUICK_RUNS if args.quick else module.RUNS), args.threads)
        with threadpoolctl.threadpool_limits(args.threads):
            report = module.run(form)
        rows = compared(report, comparisons)
        print(table(report))
        for key, row in rows.items():
            least = comparisons[key][2] if report.judged and not args.quick else None
            print(verdict(key, row, least), flush=True)
        measured |= rows
    if args.json:
        write_json(args.json, measured)
    return 0 if all(row["equal"] for row in measured.values()) else 1


if __name__ == "__main__":
    sys.exit(guarded("benchmarks", lambda: main(sys.argv[1:])))
