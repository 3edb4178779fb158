"""`sedkit miniature`: write a small generated data set in an official layout."""

from __future__ import annotations

import argparse

from sedkit.cli._options import add_chosen, add_force, add_jobs, add_seed, chosen, jobs_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sedkit.datasets.registry import MINIATURES

    add_chosen(parser, MINIATURES, "the data set to imitate")
    parser.add_argument("out", metavar="OUT", help="folder to write (new, empty, or an earlier miniature)")
    add_seed(parser, "default: 0")
    parser.add_argument("--size", default="small", metavar="small|large|N", help="N: clips of the first training set")
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Generate, unless what is there was generated with the same options."""
    from dataclasses import asdict
    from pathlib import Path

    from sedkit.core.options import filled
    from sedkit.core.stamp import Step
    from sedkit.datasets.miniature import check_target, generate, scale_of
    from sedkit.datasets.registry import MINIATURES

    scale_of(args.size, 100)
    options = filled(MINIATURES.entry(args.name)[1], chosen(args, MINIATURES))
    config = {"name": args.name, "seed": args.seed, "size": args.size, **asdict(options)}
    check_target(args.out)

    def make() -> None:
        counts = generate(args.name, args.out, options, seed=args.seed, size=args.size, jobs=jobs_of(args))
        print(f"{args.out}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")

    Step("miniature", Path(args.out), config, force=args.force).run(make)
