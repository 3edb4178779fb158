"""`sedkit train`: features -> experiment."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_budget, add_config, add_flag, add_force


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config(parser)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of the data dirs (weak, ...)")
    parser.add_argument("--exp", required=True, type=Path, metavar="DIR", help="experiment to make")
    add_budget(parser)
    parser.add_argument(
        "--pass",
        dest="of_pass",
        metavar="NAME",
        help="apply passes.NAME of the configuration: one of several trainings",
    )
    parser.add_argument(
        "--train-on",
        choices=("split", "all", "all+validation"),
        help="split (default) keeps clips for selection and tuning; all: every fold; all+validation: that set, too",
    )
    parser.add_argument(
        "--split-run", type=Path, metavar="EXP", help="with --train-on all: the finished split run that it follows"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: the configuration's, auto")
    parser.add_argument("--weights", metavar="FILE", help="start from these weights (a state dict of any origin)")
    add_flag(parser, "--resume", "go on with an interrupted run (default)", default=True)
    add_flag(parser, "--check-config", "only check the configuration and the overrides, every section")
    add_flag(parser, "--energy", "measure the energy with CodeCarbon into EXP/energy/training.json")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Train unless the experiment is up to date; a message about the configuration names its file."""
    from sedkit.core.naming import naming_file

    with naming_file(args.config, args.overrides, args.budget, args.of_pass):
        _run(args)


def _run(args: argparse.Namespace) -> None:
    from sedkit.cli._recipe import read_system
    from sedkit.core.energy import say_unmeasured, track_energy
    from sedkit.training.checking import check_config
    from sedkit.training.distributed import Ranks
    from sedkit.training.plan import make_plan

    if args.check_config:
        check_config(args.config, args.overrides, args.budget, args.of_pass, args.weights)
        read_system(Path(args.config))
        return
    plan = make_plan(
        Path(args.config),
        args.overrides,
        args.data,
        args.exp,
        budget=args.budget,
        of_pass=args.of_pass,
        train_on=args.train_on,
        device=args.device,
        weights=args.weights,
        split_run=args.split_run,
    )
    ranks = Ranks.of_environment()
    plan.check_same_root(args.force)
    figure = args.exp / "energy" / "training.json"
    step = plan.step(args.force)
    up_to_date = step.holds(quiet=True)
    if not up_to_date:
        plan.check()
    measured = args.energy and ranks.first
    energy = track_energy(figure, measured and not up_to_date)

    def train() -> None:
        from sedkit.training.experiment import Experiment

        with energy as meter:
            experiment = Experiment(plan, ranks)
            experiment.run(resume=args.resume and not args.force)
            if experiment.resumed:
                meter.discard("the run went on from a checkpoint, and what came before was not measured")

    if not ranks.run(step, train, plan.training.device):
        say_unmeasured(figure, measured)
