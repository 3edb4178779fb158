"""`sedkit export`: experiment -> its network for other programs, or in one file with all that detection needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sedkit.cli._options import add_checkpoint, add_force
from sedkit.core.errors import SedkitError, UsageError

if TYPE_CHECKING:
    from sedkit.core.stamp import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    add(
        "out",
        type=Path,
        metavar="OUT.onnx|OUT.pt",
        help="OUT.onnx: the network, all else in OUT.json; OUT.pt: a checkpoint with its rules, for `sedkit detect`",
    )
    add(
        "--postprocessing",
        metavar="FILE.yaml|NAME|T",
        help="rules that belong to it; default: EXP/postprocessing.yaml, or those in the checkpoint",
    )
    add_checkpoint(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Export unless the files are up to date."""
    from sedkit.core.stamp import Step
    from sedkit.inference.clips import checkpoint_of

    if args.out.suffix not in (".onnx", ".pt"):
        raise UsageError(f"{args.out}: expected a name that ends in .onnx or .pt")
    checkpoint, network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    if args.out.resolve() == checkpoint.resolve():
        raise UsageError(f"{args.out}: is the checkpoint itself, expected the name of another file")
    rules = args.postprocessing
    if rules is None and (tuned := args.experiment / "postprocessing.yaml").is_file():
        rules = str(tuned)
    inputs: dict[str, Source] = {"checkpoint": checkpoint}
    config = {"network": network}
    if rules is not None and Path(rules).is_file():
        inputs["rules"] = rules
    elif rules is not None:
        config["rules"] = rules
    beside = args.out.with_suffix(".json")
    others = {"parameters": beside} if args.out.suffix == ".onnx" else {}

    def export() -> None:
        from sedkit.core.log import log
        from sedkit.models.checkpoint import read_checkpoint
        from sedkit.postprocessing import Postprocessing, read_postprocessing

        content = read_checkpoint(checkpoint)
        labels, postprocessing = content.labels.labels, None
        if rules is not None:
            postprocessing = read_postprocessing(rules, labels)
        elif content.postprocessing:
            postprocessing = Postprocessing.from_dict(content.postprocessing, str(checkpoint)).over(labels)
        if args.out.suffix == ".onnx":
            from sedkit.inference.export import export_network

            worst = export_network(checkpoint, args.out, beside, network, postprocessing)
            log.info("export: %s: within %.1e of the network's probabilities (onnxruntime)", args.out, worst)
            return
        if postprocessing is None:
            raise SedkitError(
                f"{args.experiment}: has no post-processing to go with the network; make it with `sedkit tune`, or "
                "give --postprocessing FILE.yaml, a preset (published) or a threshold (0.5)"
            )
        from sedkit.models.checkpoint import write_checkpoint

        write_checkpoint(args.out, content.alone(network, postprocessing.as_dict()))
        log.info("export: %s: %d classes, rules and front end in one file", args.out, len(labels))

    Step("export", args.out, config, inputs, args.force, lambda: others).run(export)
