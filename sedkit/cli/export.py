"""`sedkit export`: experiment -> a network that other programs run, with the front end's parameters beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_checkpoint, add_force
from sedkit.core.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("out", type=Path, metavar="OUT.onnx", help="the network; OUT.json gets all else")
    add_checkpoint(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Export unless the files are up to date, and say how well the network is met."""
    from sedkit.core.log import log
    from sedkit.core.stamp import Source, Step
    from sedkit.inference.clips import checkpoint_of

    if args.out.suffix != ".onnx":
        raise UsageError(f"{args.out}: expected a name that ends in .onnx")
    checkpoint, network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    inputs: dict[str, Source] = {"checkpoint": checkpoint}
    rules = args.experiment / "postprocessing.yaml"
    if rules.is_file():
        inputs["rules"] = rules
    beside = args.out.with_suffix(".json")
    step = Step("export", args.out, {"network": network}, inputs, args.force, lambda: {"parameters": beside})

    def export() -> None:
        from sedkit.inference.export import export_network

        worst = export_network(checkpoint, args.out, beside, network, rules if rules.is_file() else None)
        log.info("export: %s: within %.1e of the network's probabilities (onnxruntime)", args.out, worst)

    step.run(export)
