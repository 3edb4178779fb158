"""`sedkit detect`: experiment + any recording -> events."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sedkit.cli._options import add_force, add_jobs, add_prediction, jobs_of
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sedkit.inference.detect import Outcome, Recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    add("audio", type=Path, nargs="+", metavar="AUDIO", help="recordings, or folders of them, whatever lies below")
    add(
        "--out",
        metavar="FILE|DIR",
        help="default: print the events; a folder (it exists, or its name ends in /) gets a file a recording",
    )
    add(
        "--format",
        choices=("tsv", "json", "audacity", "raven"),
        default="tsv",
        help="default: tsv; audacity (a label track) and raven (a selection table): one file a recording, so that "
        "--out is a folder where there are several",
    )
    add(
        "--scores",
        type=Path,
        metavar="scores.h5|DIR",
        help="write the frame and clip scores, too: into a folder, a file a recording, where --out is one",
    )
    add("--plot", type=Path, metavar="DIR", help="draw each recording, a picture a minute: sound, events, scores")
    add(
        "--postprocessing",
        metavar="FILE.yaml|NAME|T",
        help="default: EXP/postprocessing.yaml, or the rules in a checkpoint file (`sedkit export EXP OUT.pt`); a "
        "preset's name or one threshold as for `sedkit decode`",
    )
    add(
        "--shard",
        metavar="I/N",
        help="only the Ith of N parts of the recordings, for N calls with one --out on one or more machines; the call "
        "without it puts together what they made",
    )
    add_jobs(parser, "one process that uses all cores; of hundreds of recordings one a core")
    add_prediction(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Detect, and print or write what was detected."""
    from sedkit.inference.clips import checkpoint_of, rules_of

    checkpoint, network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    from sedkit.inference.detect import Opening, Work, detect_recordings
    from sedkit.inference.recordings import recordings_of, shard_of

    every = recordings_of(args.audio)
    whole = not _is_folder(args, len(every))
    chosen = shard_of(every, args.shard)
    recordings = _placed(args, every, whole)
    try:
        rules = rules_of(args.experiment, args.postprocessing)
    except UsageError:
        from sedkit.models.checkpoint import read_checkpoint

        read_checkpoint(checkpoint)  # a broken one is told first
        raise
    draw = None
    if args.plot is not None:
        from sedkit.report.detection import draw
    jobs = None if args.jobs is None else jobs_of(args)
    opening = Opening(checkpoint, rules, network, args.device, args.precision, args.window, args.hop)
    work = Work(opening, "json" if whole else args.format, draw, len(every) > 1, force=args.force)
    if args.shard is not None or args.out is None or not whole:
        outcomes = detect_recordings(work, [recordings[name] for name in chosen], jobs)
        if args.out is None:
            _print(args, outcomes)
        _end(args, outcomes, parted=whole and args.shard is not None)
        return
    from sedkit.inference.detect import Whole

    one = Whole(work, list(recordings.values()), Path(args.out), args.scores, args.format)
    if one.holds():
        return
    with one.alone():
        outcomes = detect_recordings(work, one.recordings, jobs)
        _refuse_all(outcomes)
        detected = one.make(outcomes)
    log.info("detect: %s: %d events in %d recordings", args.out, detected.events.n_events, len(detected.durations_s))
    _end(args, outcomes)


def _is_folder(args: argparse.Namespace, recordings: int) -> bool:
    """Tell whether --out gets a file a recording; refuse what does not go together."""
    from sedkit.dataio.event_formats import FORMATS

    lone, out = FORMATS[args.format].lone and recordings > 1, args.out
    if out is None and (lone or args.shard is not None):
        what = f"--format {args.format} with several recordings" if lone else f"--shard {args.shard}"
        raise UsageError(
            f"{what} needs --out DIR, one file each" if lone else f"{what} needs --out, that all calls share"
        )
    folder = out is not None and (lone or out.endswith("/") or Path(out).is_dir())
    if folder and args.scores is not None and args.scores.suffix in (".h5", ".hdf5"):
        raise UsageError(
            f"--scores {args.scores}: --out is a folder, expected another one for a file of each recording"
        )
    return folder


def _placed(args: argparse.Namespace, recordings: dict[str, Path], whole: bool) -> dict[str, Recording]:
    """Say where what is made of each recording goes."""
    from sedkit.dataio.event_formats import FORMATS
    from sedkit.inference.detect import Recording, parts_of
    from sedkit.inference.recordings import places_of

    nowhere: dict[str, Path] = {}
    events, scores = nowhere, nowhere
    if args.out is not None and whole:
        # Beside each other whatever their endings, and never in the place of a recording.
        events = {name: parts_of(Path(args.out)) / f"{name}.json" for name in recordings}
        if args.scores is not None:
            scores = {name: parts_of(args.scores) / f"{name}.h5" for name in recordings}
    elif args.out is not None:
        events = places_of(recordings, Path(args.out), FORMATS[args.format].ending)
        if args.scores is not None:
            scores = places_of(recordings, args.scores, ".h5")
    pictures = nowhere if args.plot is None else places_of(recordings, args.plot, ".png")
    return {
        name: Recording(name, path, events.get(name), scores.get(name), pictures.get(name))
        for name, path in recordings.items()
    }


def _print(args: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    """Print events, and write scores, that no file was asked for."""
    from sedkit.dataio.event_formats import FORMATS, together
    from sedkit.dataio.scores import joined
    from sedkit.dataio.store import write_scores

    _refuse_all(outcomes)
    if args.scores is not None:
        write_scores(args.scores, joined([outcome.scores for outcome in outcomes if outcome.scores is not None]))
    detected = together([outcome.detected for outcome in outcomes if outcome.detected is not None])
    print(FORMATS[args.format].text(detected), end="")


def _refuse_all(outcomes: Sequence[Outcome]) -> None:
    """Raise an error where no recording can be read."""
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors and len(errors) == len(outcomes):
        raise SedkitError(errors[0] if len(errors) == 1 else f"none of the {len(errors)} recordings can be read")


def _end(args: argparse.Namespace, outcomes: Sequence[Outcome], parted: bool = False) -> None:
    """Say what was done, and raise an error where recordings could not be read."""
    _refuse_all(outcomes)
    where = "stand above" if args.out is None else f"are in {args.out}{'.parts' if parted else ''}"
    errors = sum(bool(outcome.error) for outcome in outcomes)
    if errors:
        raise SedkitError(
            f"{errors} of {len(outcomes)} recordings could not be read, each named above with the reason; the events "
            f"of the others {where}"
        )
    if args.out is not None and (parted or Path(args.out).is_dir()):
        more = "; the call without --shard puts all together" if parted else ""
        log.info("detect: the events of %d recordings %s%s", len(outcomes), where, more)
