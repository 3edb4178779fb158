"""`sedkit predict`: experiment + features -> frame and clip scores."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.cli._options import add_flag, add_force, add_jobs, add_prediction, jobs_of, number, words
from sedkit.core.errors import UsageError

if TYPE_CHECKING:
    from sedkit.core.stamp import Step
    from sedkit.features.frontends import FrontEnd
    from sedkit.inference.clips import Place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("source", type=Path, metavar="FEATURES.h5|DATA_DIR", help="what to score")
    parser.add_argument("--out", required=True, type=Path, metavar="scores.h5")
    parser.add_argument("--fold", type=words, metavar="FOLD,...", help="only these folds of the data dir")
    parser.add_argument(
        "--windows",
        type=Path,
        metavar="TABLE.tsv",
        help="score these windows (filename, onset, offset) of the clips, each as a clip of its own",
    )
    add_prediction(parser)
    parser.add_argument("--batch", type=number(1, 4096, whole=True), default=16, metavar="N", help="clips a batch")
    add_jobs(parser, "one process that uses all cores")
    add_flag(parser, "--energy", "measure the energy with CodeCarbon into EXP/energy/<name of the scores>.json")
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Predict unless the scores are up to date."""
    from sedkit.core.energy import say_unmeasured, track_energy
    from sedkit.core.stamp import Step
    from sedkit.inference.clips import Place, checkpoint_of, frontends_of

    if args.windows is not None and args.window is not None:
        raise UsageError("--window and --windows: the table tells how long its windows are, expected one of the two")
    checkpoint, args.network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    config = {name: getattr(args, name) for name in ("fold", "network", "precision", "device", "window", "hop")}
    frontends = frontends_of(checkpoint)
    place = Place.of(args.source, frontends[0], args.fold, args.windows, frontends[1])
    run: dict[str, Any] = {}
    step = Step(
        "predict",
        args.out,
        config,
        {"checkpoint": checkpoint} | place.inputs(),
        args.force,
        facts=lambda: {"run": run, "saw": run.pop("saw", {})} | place.facts(),
    )
    if args.energy and args.experiment.is_file():
        raise UsageError(
            f"--energy true: {args.experiment} is a checkpoint, expected the experiment that keeps the figure"
        )
    if args.energy and isinstance(args.jobs, str):
        raise UsageError(f"--energy true: meters this machine, expected --jobs N, got {args.jobs}")
    figure = args.experiment / "energy" / f"{args.out.stem}.json"
    energy: AbstractContextManager[Any] = nullcontext()
    if not args.experiment.is_file():
        energy = track_energy(figure, args.energy and not step.holds(quiet=True))
    if not step.run(lambda: run.update(_predict(args, checkpoint, place, frontends, step, energy))):
        say_unmeasured(figure, args.energy)


def _predict(
    args: argparse.Namespace,
    checkpoint: Path,
    place: Place,
    frontends: tuple[FrontEnd, dict[str, FrontEnd]],
    step: Step,
    energy: AbstractContextManager[Any],
) -> dict[str, Any]:
    """Write the scores; return what the checkpoint says of its run."""
    from sedkit.core.files import content_hash
    from sedkit.dataio.store import write_scores
    from sedkit.inference.clips import open_clips
    from sedkit.inference.shards import Work, predict_shards

    jobs = 1 if args.jobs is None else jobs_of(args)
    work = Work(
        checkpoint,
        args.source,
        place.folds and tuple(place.folds),
        place.table,
        content_hash(step.content()),
        args.network,
        args.device,
        args.precision,
        args.window,
        args.hop,
        args.batch,
    )
    with energy:
        scored = predict_shards(work, len(open_clips(place, *frontends).filenames), jobs)
        write_scores(args.out, scored.scores)
    return scored.run
