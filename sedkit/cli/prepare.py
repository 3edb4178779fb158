"""`sedkit prepare`: an official layout to validated data dirs."""

from __future__ import annotations

import argparse

from sedkit.cli._options import add_force, add_jobs, boolean, jobs_of, number

HELP = "official layout -> validated data dirs"
NAMES = ("desed", "esc50")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", choices=NAMES, help="the data set")
    parser.add_argument("root", metavar="ROOT", help="the data set as it was unpacked")
    parser.add_argument("out", metavar="OUT", help="folder for the data dirs")
    parser.add_argument(
        "--lenient",
        type=boolean,
        default=False,
        metavar="true|false",
        help="leave broken rows, files and clips of both sides out and count them, instead of stopping",
    )
    parser.add_argument(
        "--coverage-only",
        type=boolean,
        default=False,
        metavar="true|false",
        help="only print how many of the listed clips are on disk",
    )
    parser.add_argument(
        "--evaluation", default=None, metavar="FOLDER|LIST", help="clips to enter the challenge with (desed)"
    )
    parser.add_argument(
        "--reported",
        default=None,
        metavar="DESED_ROOT",
        help="stop where a recording is also reported on there (esc50)",
    )
    parser.add_argument(
        "--seed", type=number(0, 2**32 - 1, whole=True), default=0, metavar="S", help="of the split (default: 0)"
    )
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare, unless what is there was made from the same root with the same options."""
    from pathlib import Path

    from sedkit.core.errors import UsageError
    from sedkit.core.stamp import Step
    from sedkit.dataio.datadir import SUMMARY
    from sedkit.datasets.prepared import check_same_root, tables_of, write_sets

    if args.evaluation and args.name != "desed":
        raise UsageError(f"--evaluation {args.evaluation}: only desed has an evaluation set, not {args.name}")
    if args.reported and args.name != "esc50":
        raise UsageError(f"--reported {args.reported}: {args.name} is checked against its own reported sets")
    root, out = Path(args.root), Path(args.out)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder, expected the root of {args.name}")
    if args.coverage_only:
        return _coverage(args)
    config = {"name": args.name, "lenient": args.lenient, "seed": args.seed}
    inputs = {"root": root}
    for role in ("evaluation", "reported"):
        given = getattr(args, role)
        if given and Path(given).exists():
            inputs[role] = Path(given)
        else:
            config[role] = given
    step = Step("prepare", out / SUMMARY, config, inputs, args.force, beside=lambda: tables_of(out))
    check_same_root(out, root, step)

    def make() -> None:
        if args.name == "desed":
            from sedkit.datasets import desed

            sets = desed.prepare(
                root, lenient=args.lenient, evaluation=args.evaluation, seed=args.seed, jobs=jobs_of(args)
            )
        else:
            from sedkit.datasets import esc50

            reported = Path(args.reported) if args.reported else None
            sets = esc50.prepare(root, lenient=args.lenient, reported=reported, jobs=jobs_of(args))
        write_sets(out, args.name, root, sets)

    step.run(make)
    return 0


def _coverage(args: argparse.Namespace) -> int:
    from pathlib import Path

    if args.name == "desed":
        from sedkit.datasets import desed

        lines = desed.coverage(Path(args.root), args.evaluation)
    else:
        from sedkit.datasets import esc50

        lines = esc50.coverage(Path(args.root))
    print("\n".join(lines))
    return 0
