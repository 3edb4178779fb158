"""`sedkit miniature`: write a small generated data set in an official layout."""

from __future__ import annotations

import argparse

from sedkit.cli._options import add_force, add_jobs, jobs_of, number

HELP = "generate a small data set in an official layout"
NAMES = ("desed", "esc50")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", choices=NAMES, help="the data set to imitate")
    parser.add_argument("out", metavar="OUT", help="folder to write (new, empty, or an earlier miniature)")
    parser.add_argument("--layout", choices=("2019", "2021"), default=None, help="of desed (default: 2019)")
    parser.add_argument("--seed", type=number(0, 2**32 - 1, whole=True), default=0, metavar="S", help="default: 0")
    parser.add_argument("--size", default="small", metavar="small|large|N", help="N: clips of the first training set")
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Generate, unless what is there was generated with the same options."""
    from pathlib import Path

    from sedkit.core.errors import UsageError
    from sedkit.core.stamp import Step
    from sedkit.datasets.miniature import check_target, scale_of

    if args.layout and args.name != "desed":
        raise UsageError(f"--layout {args.layout}: only desed has layouts, not {args.name}")
    scale_of(args.size, 100)
    layout = {"layout": args.layout or "2019"} if args.name == "desed" else {}
    config = {"name": args.name, "seed": args.seed, "size": args.size, **layout}
    check_target(args.out)

    def generate() -> None:
        if args.name == "desed":
            from sedkit.datasets import miniature_desed

            made = miniature_desed.generate(args.out, seed=args.seed, size=args.size, jobs=jobs_of(args), **layout)
        else:
            from sedkit.datasets import miniature_esc50

            made = miniature_esc50.generate(args.out, seed=args.seed, size=args.size, jobs=jobs_of(args))
        print(f"{args.out}: {', '.join(f'{count} {part}' for part, count in made.items())}")

    Step("miniature", Path(args.out), config, force=args.force).run(generate)
    return 0
