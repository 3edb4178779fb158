"""`sedkit separate`: experiment + any recording -> the sound of each class."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sedkit.cli._options import add_prediction, number, words
from sedkit.core.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("experiment", type=Path, metavar="EXP", help="experiment folder, or a checkpoint file")
    parser.add_argument(
        "audio", type=Path, nargs="+", metavar="AUDIO", help="recordings, or folders of them, whatever lies below"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets <recording>/<class>.wav")
    parser.add_argument(
        "--threshold",
        type=number(0, 1),
        metavar="T",
        help="separate the classes whose clip scores are above it (default: 0.1, published)",
    )
    parser.add_argument("--classes", type=words, metavar="A,B", help="separate these instead, whatever their scores")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="STEMS",
        help="print SDR, SIR and SAR against stems: a folder of them, or of one a recording",
    )
    add_prediction(parser)


def run(args: argparse.Namespace) -> None:
    """Separate, write the sounds, print what they are."""
    from sedkit.inference.clips import checkpoint_of

    if args.classes is not None and args.threshold is not None:
        raise UsageError("--threshold does not count where --classes says what to separate; leave one of them out")
    checkpoint, chosen = checkpoint_of(args.experiment, args.checkpoint, args.network)
    from sedkit.core.errors import SedkitError, listed, suggest
    from sedkit.core.files import write_json
    from sedkit.core.log import log
    from sedkit.inference.masks import MaskPredictor
    from sedkit.inference.recordings import recordings_of
    from sedkit.inference.separate import Request, folders_of, separate_recordings, stem_folders

    recordings = recordings_of(args.audio)
    folders = folders_of(recordings, args.out)
    reference = None if args.reference is None else stem_folders(args.reference, folders)
    threshold = {} if args.threshold is None else {"threshold": args.threshold}
    request = Request(args.out, classes=args.classes, reference=reference, **threshold)
    network = MaskPredictor.open(checkpoint, args.device, args.precision, args.window, args.hop, chosen)
    for label in args.classes or ():
        if label not in network.labels:
            known = network.labels.labels
            raise UsageError(f"--classes {label}: unknown{suggest(label, known)}, expected some of {listed(known, 12)}")
    refused: list[str] | None = [] if len(recordings) > 1 else None
    separated = separate_recordings(network, recordings, request, refused)
    write_json(args.out / "separation.json", {"recordings": separated})
    print(_table(separated, reference is not None), end="")
    sounds = sum(len(recording["classes"]) for recording in separated)
    log.info("separate: %s: %d sounds of %d recordings", args.out, sounds, len(separated))
    if refused:
        raise SedkitError(
            f"{len(refused)} of {len(recordings)} recordings could not be read, each named above with the reason; the "
            f"sounds of the others are in {args.out}"
        )


def _table(separated: list[dict[str, Any]], judged: bool) -> str:
    """Return a row a sound: its file, its clip score and, with a reference, its figures in dB."""
    figures = {"SDR": "sdr", "SIR": "sir", "SAR": "sar", "SDR gain": "sdr_improvement"} if judged else {}
    rows = [("file", "clip score", *figures)]
    for recording in separated:
        for sound in recording["classes"].values():
            values = (sound.get(name) for name in figures.values())
            cells = ("-" if value is None else f"{value:.2f}" for value in values)
            rows.append((sound["file"], f"{sound['clip_score']:.3f}", *cells))
        rows += [(f"{recording['filename']}: missed {label}", "-", *["-"] * 4) for label in recording.get("missed", ())]
    if len(rows) == 1:
        return ""
    width = max(len(row[0]) for row in rows)
    return "".join(f"{row[0]:<{width}}" + "".join(f"  {cell:>10}" for cell in row[1:]) + "\n" for row in rows)
