"""`sedkit detect`: experiment + any recording -> events."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_prediction
from sedkit.core.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument("audio", type=Path, nargs="+", metavar="AUDIO", help="recordings, or folders of them")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: print the events")
    parser.add_argument(
        "--format",
        choices=("tsv", "json", "audacity"),
        default="tsv",
        help="default: tsv; audacity: a label track a recording (--out is a folder where there are several)",
    )
    parser.add_argument("--scores", type=Path, metavar="scores.h5", help="write the frame and clip scores, too")
    parser.add_argument(
        "--postprocessing",
        metavar="FILE.yaml|NAME|T",
        help="default: EXP/postprocessing.yaml; a preset's name or one threshold as for `sedkit decode`",
    )
    add_prediction(parser)


def run(args: argparse.Namespace) -> None:
    """Detect, and print or write what was found."""
    from sedkit.inference.clips import checkpoint_of

    checkpoint, network = checkpoint_of(args.experiment, args.checkpoint, args.network)
    from sedkit.core.errors import SedkitError
    from sedkit.core.files import write_text
    from sedkit.core.log import log
    from sedkit.dataio.names import stem
    from sedkit.dataio.store import write_scores
    from sedkit.inference.detect import as_audacity, as_json, as_tsv, detect_scores, names_of, recordings_of
    from sedkit.inference.predictor import Predictor
    from sedkit.postprocessing import decode, read_postprocessing

    recordings = recordings_of(args.audio)
    names_of(recordings)
    several = len(recordings) > 1
    if args.format == "audacity" and several:
        if args.out is None:
            raise UsageError("--format audacity with several recordings needs --out DIR, one label track each")
        if len({stem(path.name) for path in recordings}) < len(recordings):
            raise UsageError("--format audacity: two recordings have the same name, and so would their label tracks")
    refused: list[str] | None = [] if several else None
    predictor = Predictor.open(checkpoint, args.device, args.precision, network)
    rules = read_postprocessing(_rules_of(args), predictor.labels.labels)
    scores = detect_scores(predictor, recordings, args.window, args.hop, refused=refused)
    events = decode(scores, rules)
    if args.scores:
        write_scores(args.scores, scores)
    if args.format == "audacity" and several:
        for name, track in as_audacity(events).items():
            write_text(args.out / f"{stem(Path(name).name)}.txt", track)
    else:
        if args.format == "audacity":
            text = "".join(as_audacity(events).values())
        else:
            text = as_tsv(events) if args.format == "tsv" else as_json(events, scores.duration_s.tolist())
        if args.out is None:
            print(text, end="")
        else:
            write_text(args.out, text)
    if args.out is not None:
        log.info("detect: %s: %d events in %d recordings", args.out, events.n_events, len(events.filenames))
    if refused:
        where = f"are in {args.out}" if args.out is not None else "stand above"
        raise SedkitError(
            f"{len(refused)} of {len(recordings)} recordings could not be read, each named above with the reason; the "
            f"events of the others {where}"
        )


def _rules_of(args: argparse.Namespace) -> str:
    if args.postprocessing is not None:
        return str(args.postprocessing)
    tuned = args.experiment / "postprocessing.yaml"
    if not tuned.is_file():
        raise UsageError(
            f"{args.experiment}: has no postprocessing.yaml; make it with `sedkit tune`, or give --postprocessing "
            "FILE.yaml, a preset (published) or a threshold (0.5)"
        )
    return str(tuned)
