"""`sedkit predict`: experiment + features -> frame and clip scores."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.cli._options import add_force, boolean, number, words
from sedkit.core.errors import UsageError

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores
    from sedkit.inference.predict import Predictor

HELP = "score clips with a trained network, at the network's own time resolution"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("source", type=Path, metavar="FEATURES.h5|DATA_DIR", help="what to score")
    parser.add_argument("--out", required=True, type=Path, metavar="scores.h5")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="default: best")
    parser.add_argument(
        "--network", metavar="NAME", help="where a checkpoint keeps several networks (student, teacher)"
    )
    parser.add_argument("--fold", type=words, metavar="FOLD,...", help="only these folds of the data dir")
    parser.add_argument(
        "--chunk-hop",
        type=number(0.001, 60),
        metavar="S",
        help="networks trained on chunks: from chunk to chunk, overlaps being averaged (default: side by side)",
    )
    parser.add_argument(
        "--chunks",
        choices=("dense", "published"),
        help="networks trained on chunks: score each chunk as a clip of its own, as for training (dense) or anchored "
        "to events as published; needs a data dir",
    )
    parser.add_argument(
        "--reference-out", type=Path, metavar="EVENTS.tsv", help="with --chunks: what is true of the chunks"
    )
    parser.add_argument("--batch", type=number(1, 4096, whole=True), default=16, metavar="N", help="clips a batch")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of the convolutions")
    parser.add_argument(
        "--energy",
        type=boolean,
        default=False,
        metavar="true|false",
        help="measure the energy with CodeCarbon into EXP/energy/<name of the scores>.json",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Predict unless the scores are up to date."""
    from sedkit.core.energy import say_unmeasured, track_energy
    from sedkit.core.stamp import Step
    from sedkit.inference.sources import checkpoint_path, stamp_inputs

    if (args.chunks is None) != (args.reference_out is None):
        raise UsageError("--chunks and --reference-out belong together: one is read off the other")
    checkpoint = checkpoint_path(args.experiment, args.checkpoint)
    config = {"fold": args.fold, "network": args.network, "precision": args.precision, "device": args.device}
    if args.chunks or args.chunk_hop:
        config |= {"chunks": args.chunks, "chunk_hop": args.chunk_hop}
    inputs = stamp_inputs(checkpoint, args.source, args.chunks)
    reference = {} if args.reference_out is None else {"reference": args.reference_out}
    step = Step("predict", args.out, config, inputs, args.force, beside=lambda: reference)
    if args.energy and not args.experiment.is_dir():
        raise UsageError(
            f"--energy true: {args.experiment} is a checkpoint, expected the experiment that keeps the figure"
        )
    figure = args.experiment / "energy" / f"{args.out.stem}.json"
    energy: AbstractContextManager[Any] = nullcontext()
    if args.experiment.is_dir():
        energy = track_energy(figure, args.energy and not step.holds(quiet=True))
    if not step.run(lambda: _predict(args, checkpoint, energy)):
        say_unmeasured(figure, args.energy)
    return 0


def _predict(args: argparse.Namespace, checkpoint: Path, energy: AbstractContextManager[Any]) -> None:
    from sedkit.dataio.store import write_scores
    from sedkit.inference.predict import Predictor, predict
    from sedkit.inference.sources import find_clips

    with energy:
        predictor = Predictor.open(checkpoint, args.device, args.precision, args.network)
        if predictor.chunks is not None:
            write_scores(args.out, _predict_chunks(predictor, args))
        elif args.chunks or args.chunk_hop:
            raise UsageError(f"{args.experiment}: was trained on whole clips; leave --chunks and --chunk-hop out")
        else:
            clips = find_clips(args.source, predictor.frontend, args.fold)
            write_scores(args.out, predict(predictor, clips, args.batch))


def _predict_chunks(predictor: Predictor, args: argparse.Namespace) -> Scores:
    """Score with a network that was trained on chunks, and write what is true of them where asked for."""
    from sedkit.dataio.datadir import DataDir
    from sedkit.dataio.tables import write_events
    from sedkit.inference.chunks import chunk_s_of, predict_dense, predict_published, predict_set

    data = DataDir(args.source if args.source.is_dir() else args.source.parent)
    if args.chunks is None:
        return predict_set(predictor, data, args.chunk_hop or chunk_s_of(predictor), args.fold, args.batch)
    if args.chunks == "dense":
        scores, truth = predict_dense(predictor, data, args.fold, args.batch)
    else:
        scores, truth = predict_published(predictor, data, args.batch)
    write_events(args.reference_out, truth)
    return scores
