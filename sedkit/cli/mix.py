"""`sedkit mix`: plan mixtures of events in scenes, and render them."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_budget, add_config, add_flag, add_force, add_jobs, jobs_of, number
from sedkit.core.errors import UsageError

#: Options of each action: needed, and others that only it has.
_OPTIONS = {"plan": (("config", "data", "out"), ("budget",)), "render": (("out",), ("snr", "stems", "jobs"))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=tuple(_OPTIONS), help="plan (--config, --data) or render PLAN.yaml")
    add_config(parser, required=False)
    add_budget(parser)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="plan: folder of the data dirs mix.events and mix.scenes"
    )
    parser.add_argument("--out", type=Path, metavar="PLACE", help="plan: the PLAN.yaml; render: the data dir to make")
    parser.add_argument(
        "--snr",
        type=number(-100, 100),
        metavar="DB",
        help="render: level of every event over its scene, not the plan's",
    )
    add_flag(parser, "--stems", "render: write what each class and the scene sound like alone", None)
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Plan or render, unless what is there was made from the same."""
    for action, (needed, others) in _OPTIONS.items():
        for name in (*needed, *others):
            if args.action == action and name in needed and getattr(args, name) is None:
                raise UsageError(f"mix {action}: needs --{name}")
            if args.action != action and getattr(args, name) is not None and name not in _OPTIONS[args.action][0]:
                raise UsageError(f"mix {args.action}: takes no --{name}, that is for mix {action}")
    return _plan(args) if args.action == "plan" else _render(args)


def _plan(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from sedkit.core.config import read_config, typed
    from sedkit.core.files import content_hash
    from sedkit.core.log import log
    from sedkit.core.naming import naming_file
    from sedkit.core.stamp import Step, facts_of, read_stamp
    from sedkit.dataio.datadir import TABLES, DataDir
    from sedkit.synthesis.noise import make_noise
    from sedkit.synthesis.plan import MixSettings, draw
    from sedkit.synthesis.plan_file import write_plan

    with naming_file(args.config, args.overrides, args.budget):
        settings = typed(read_config(args.config, args.overrides, args.budget).get("mix"), MixSettings, "mix")
    make_noise(args.data / settings.scenes, settings, args.force)
    events, scenes = (DataDir(args.data / name) for name in (settings.events, settings.scenes))
    tables = {
        role: {name: data.path / name for name in TABLES if (data.path / name).is_file()}
        for role, data in (("events", events), ("scenes", scenes))
    }
    # A plan that is not any more what its stamp is about has no facts: somebody edited it.
    step = Step("mix plan", args.out, asdict(settings), tables, args.force, facts={"planned": True})
    if args.out.exists() and not args.force and not facts_of(args.out):
        stamp = read_stamp(step.stamp_path)
        if stamp is None or stamp.config != content_hash(step.config) or not step.inputs_hold():
            raise UsageError(f"{args.out}: is another plan that was edited; --force true plans anew, over it")
        log.info("mix plan: %s was edited and stays as it is (--force true plans anew)", args.out)
        return 0

    def make() -> None:
        plan = draw(settings, events, scenes)
        write_plan(args.out, plan)
        log.info("mix plan: %s: %d mixtures", args.out, len(plan.mixtures))

    step.run(make)
    return 0


def _render(args: argparse.Namespace) -> int:
    from sedkit.core.log import log
    from sedkit.synthesis.mixture_set import render_plan
    from sedkit.synthesis.plan_file import read_plan

    if len(args.overrides) != 1:
        raise UsageError(f"mix render: got {len(args.overrides)} plans, expected one PLAN.yaml")
    path = Path(args.overrides[0])
    plan = read_plan(path)
    if args.snr is not None:
        plan = plan.at_snr(args.snr)
    if render_plan(path, plan, args.out, stems=args.stems is not False, jobs=jobs_of(args), force=args.force):
        log.info("mix render: %s: %d mixtures", args.out, len(plan.mixtures))
    return 0
