"""`sedkit prepare`: an official layout to validated data dirs."""

from __future__ import annotations

import argparse

from sedkit.cli._options import add_chosen, add_flag, add_force, add_jobs, add_seed, chosen, jobs_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sedkit.datasets.registry import DATASETS

    add_chosen(parser, DATASETS, "the data set")
    parser.add_argument("root", metavar="ROOT", help="the data set as it was unpacked")
    parser.add_argument("out", metavar="OUT", help="folder for the data dirs")
    add_flag(
        parser, "--lenient", "leave broken rows, files and clips of both sides out and count them, instead of stopping"
    )
    add_flag(parser, "--coverage-only", "only print how many of the listed clips are on disk")
    add_seed(parser, "of the split (default: 0)")
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Prepare, unless what is there was made from the same root with the same options."""
    from pathlib import Path

    from sedkit.core.errors import UsageError
    from sedkit.core.options import options_of
    from sedkit.core.stamp import Step
    from sedkit.dataio.datadir import SUMMARY
    from sedkit.datasets.assemble import coverage, prepare
    from sedkit.datasets.prepared import check_same_root, tables_of, write_sets
    from sedkit.datasets.registry import DATASETS, dataset_named

    given = chosen(args, DATASETS)
    dataset = dataset_named(args.name, given)
    root, out = Path(args.root), Path(args.out)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder, expected the root of {args.name}")
    if args.coverage_only:
        print("\n".join(coverage(dataset, root)))
        return
    named = {o.name for o in options_of(type(dataset.options)).values() if o.place}
    places = {name: Path(value) for name, value in given.items() if name in named and Path(value).exists()}
    config = {"name": args.name, "lenient": args.lenient, "seed": args.seed}
    config |= {name: value for name, value in given.items() if name not in places}
    step = Step("prepare", out / SUMMARY, config, {"root": root, **places}, args.force, beside=lambda: tables_of(out))
    check_same_root(out, root, step)
    jobs = jobs_of(args)
    step.run(
        lambda: write_sets(
            out, args.name, root, prepare(dataset, root, lenient=args.lenient, seed=args.seed, jobs=jobs)
        )
    )
