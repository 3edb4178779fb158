"""Any recording to scores and events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.dataio.audio import header_fault, read_audio
from sedkit.dataio.events import Events
from sedkit.dataio.names import AUDIO_ENDINGS
from sedkit.dataio.scores import Scores
from sedkit.datasets.audiofiles import files_of
from sedkit.inference.predict import predict_waveforms
from sedkit.inference.predictor import Predictor


def recordings_of(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are, and in place of each folder the audio files in it (not below it), by name.

    Raises
    ------
    UsageError
        A folder holds no audio file.
    """
    out = []
    for path in paths:
        if path.is_dir():
            files = files_of([path])
            if not files:
                raise UsageError(f"{path}: no audio file in this folder, expected some of {', '.join(AUDIO_ENDINGS)}")
            out += [files[name] for name in sorted(files)]
        else:
            out.append(path)
    return out


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return a unique name for each recording: its file name, or its path where two share a file name.

    Raises
    ------
    UsageError
        A recording stands twice.
    """
    names = [p.name for p in paths]
    if len(set(names)) < len(names):
        names = [str(p) for p in paths]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"{sorted(twice)[0]} is given twice, expected each recording once")
    return tuple(names)


def detect_scores(
    predictor: Predictor,
    paths: Sequence[Path],
    window_s: float | str | None = None,
    hop_s: float | None = None,
    batch_size: int = 16,
    refused: list[str] | None = None,
) -> Scores:
    """Score recordings of any length, sample rate and number of channels.

    Parameters
    ----------
    predictor
        The network.
    paths
        Audio files.
    window_s, hop_s
        As `sedkit.inference.tiling.Tiling.of` takes them.
    refused
        Takes, and the log says, why a recording cannot be read; it is left out. Without such a list it is an error.

    Returns
    -------
    Scores of each recording to its end, on one grid.

    Raises
    ------
    SedkitError
        A file that cannot be read, or none that can.
    """
    waveforms = waveforms_of(paths, predictor.frontend.sample_rate, refused, "detect")
    return predict_waveforms(predictor, waveforms, window_s, hop_s, batch_size)


def waveforms_of(
    paths: Sequence[Path], sample_rate: int, refused: list[str] | None, description: str
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the name and the samples of each recording that can be read; there is at least one."""
    read = 0
    for name, path in zip(names_of(paths), progress(paths, description=description, unit="recording"), strict=True):
        try:
            fault, waveform = header_fault(path), read_audio(path, sample_rate)
        except SedkitError as error:
            if refused is None:
                raise
            refused.append(str(error))
            log.error("%s", error)
            continue
        if fault:
            log.warning("%s", fault)
        read += 1
        yield name, waveform
    if not read:
        raise SedkitError(f"none of the {len(paths)} recordings can be read")


def as_tsv(events: Events) -> str:
    """Return events as the challenge's table, header included."""
    rows = ["filename\tonset\toffset\tevent_label"]
    for name, onset_s, offset_s, label in events.rows():
        rows.append(f"{name}\t\t\t" if label is None else f"{name}\t{onset_s:.3f}\t{offset_s:.3f}\t{label}")
    return "\n".join(rows) + "\n"


def as_json(events: Events, durations_s: Sequence[float]) -> str:
    """Return events as JSON: one object a recording."""
    out = [
        {"filename": name, "duration_s": round(float(duration_s), 3), "events": []}
        for name, duration_s in zip(events.filenames, durations_s, strict=True)
    ]
    at = {name: i for i, name in enumerate(events.filenames)}
    for name, onset_s, offset_s, label in events.rows():
        if label is not None and onset_s is not None and offset_s is not None:
            row = {"onset_s": round(onset_s, 3), "offset_s": round(offset_s, 3), "label": label}
            out[at[name]]["events"].append(row)  # type: ignore[attr-defined]
    return json.dumps(out, indent=1, ensure_ascii=False) + "\n"


def as_audacity(events: Events) -> dict[str, str]:
    """Return, by recording, the label track that Audacity imports: start, end and label, TAB separated."""
    tracks: dict[str, list[str]] = {name: [] for name in events.filenames}
    for name, onset_s, offset_s, label in events.rows():
        if label is not None:
            tracks[name].append(f"{onset_s:.6f}\t{offset_s:.6f}\t{label}\n")
    return {name: "".join(lines) for name, lines in tracks.items()}
