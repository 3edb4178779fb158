"""`sedkit weights`: files of weights that others made, as plain files and as experiments."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_force
from sedkit.core.errors import UsageError

#: Options of each action: needed, and others that only it has.
_OPTIONS = {"convert": ((), ()), "experiment": (("network", "classes", "out"), ("postprocessing",))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "action",
        choices=tuple(_OPTIONS),
        help="convert: write the tensors and plain data of a file that holds objects of its program, too; experiment: "
        "make an experiment of a published tagger, for `sedkit detect`",
    )
    add("file", type=Path, metavar="FILE", help="the weights")
    add(
        "--out",
        type=Path,
        metavar="PLACE",
        help="convert: the file to write (default: FILE's name with .plain.pt); experiment: the folder to make",
    )
    add("--network", metavar="NAME", help="experiment: which published network the file is of, such as cnn14")
    add(
        "--classes",
        type=Path,
        metavar="FILE",
        help="experiment: its classes in order, class_labels_indices.csv of AudioSet or one name a line",
    )
    add(
        "--postprocessing",
        metavar="FILE.yaml|NAME|T",
        help="experiment: rules of its classes, as for `sedkit decode` (default: the threshold 0.5)",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Convert a file or make an experiment, unless what is there was made from the same."""
    for action, (needed, others) in _OPTIONS.items():
        for name in (*needed, *others):
            if args.action == action and name in needed and getattr(args, name) is None:
                raise UsageError(f"weights {action}: needs --{name}")
            if args.action != action and name != "out" and getattr(args, name) is not None:
                raise UsageError(f"weights {args.action}: takes no --{name}, that is for weights {action}")
    if args.action == "convert":
        _convert(args)
    else:
        _experiment(args)


def _convert(args: argparse.Namespace) -> None:
    from sedkit.core.errors import listed
    from sedkit.core.log import log
    from sedkit.core.stamp import Step

    out = args.out or args.file.with_suffix(".plain.pt")

    def make() -> None:
        from sedkit.models.convert import convert

        converted = convert(args.file, out)
        left_out = [f"{where} ({kind})" for where, kind in converted.left_out.items()]
        log.info("weights convert: %s: keys %s", out, listed(converted.content, 8))
        if left_out:
            log.info("weights convert: left out: %s", listed(left_out, 8))

    Step("weights convert", out, {}, {"weights": args.file}, args.force).run(make)


def _experiment(args: argparse.Namespace) -> None:
    from sedkit.core.log import log
    from sedkit.core.stamp import Source, Step

    rules = args.postprocessing or "0.5"
    inputs: dict[str, Source] = {"weights": args.file, "classes": args.classes}
    if Path(rules).is_file():
        inputs["postprocessing"] = rules
    config = {"network": args.network, "rules": None if "postprocessing" in inputs else rules}
    checkpoint = args.out / "checkpoints" / "best.pt"
    beside = {"postprocessing": args.out / "postprocessing.yaml", "config": args.out / "config.yaml"}

    def make() -> None:
        from sedkit.inference.tagger import read_classes, write_tagger

        classes = write_tagger(args.out, args.file, args.network, read_classes(args.classes), rules)
        log.info(
            "weights experiment: %s: %s, %d classes; `sedkit detect %s RECORDINGS`",
            args.out,
            args.network,
            len(classes),
            args.out,
        )

    Step("weights experiment", checkpoint, config, inputs, args.force, lambda: beside).run(make)
