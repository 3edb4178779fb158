"""Any recording to the sounds of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import atomic_folder, remove
from sedkit.core.log import log
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.names import stem
from sedkit.evaluation.bss import FIGURES, References
from sedkit.evaluation.counts import number
from sedkit.features.separation import Separator
from sedkit.features.sources import Floats
from sedkit.inference.detect import names_of, waveforms_of
from sedkit.inference.masks import MaskPredictor
from sedkit.synthesis.mixture_set import SCENE

#: What the loudest sample of 16 bits is.
_PEAK = 32767 / 32768
#: Resampling may end a sample earlier or later.
_SLACK_SAMPLES = 2


@dataclass(frozen=True)
class Request:
    """What is wanted of recordings.

    Attributes
    ----------
    out
        Gets a folder a recording, in it `<class>.wav`.
    threshold
        A class is separated where its clip score is above it.
    classes
        These instead, whatever their scores.
    reference
        Stems of each recording, as `stem_folders` finds them; None: no figures.
    taps
        Of the filter by which an estimate may differ from its stem.
    """

    out: Path
    threshold: float = 0.1
    classes: Sequence[str] | None = None
    reference: dict[str, Path] | None = None
    taps: int = 512


def folders_of(paths: Sequence[Path], out: Path) -> dict[str, Path]:
    """Return the folder of each recording by its name (`names_of`); UsageError where two would share one."""
    folders = {name: out / stem(path.name) for name, path in zip(names_of(paths), paths, strict=True)}
    if len(set(folders.values())) < len(folders):
        twice = [folder.name for folder in folders.values()]
        raise UsageError(
            f"two recordings are called {next(x for x in twice if twice.count(x) > 1)}, and so would their folders be; "
            "separate them with an --out each"
        )
    return folders


def stem_folders(reference: Path, folders: dict[str, Path]) -> dict[str, Path]:
    """Return where the stems of each recording lie: in a folder of its name, or of one recording in the folder itself.

    Raises
    ------
    UsageError
        There are none, or they lie where something is to be written.
    """
    stems = {}
    for name, target in folders.items():
        place = reference / target.name
        if not place.is_dir() and len(folders) == 1:
            place = reference
        if not any(place.glob("*.wav")):
            raise UsageError(
                f"--reference {place}: holds no stem of {name}, expected <class>.wav and {SCENE}.wav as "
                "`sedkit mix render --stems true` writes them"
            )
        if place.resolve() == target.resolve():
            raise UsageError(f"--out: {target} is where the stems lie, name another folder")
        stems[name] = place
    return stems


def separate_recordings(
    network: MaskPredictor, paths: Sequence[Path], request: Request, refused: list[str] | None = None
) -> list[dict[str, Any]]:
    """Separate recordings of any length, sample rate and number of channels, one after the other.

    Parameters
    ----------
    network
        What gives the masks.
    paths
        Audio files.
    request
        What is wanted of them.
    refused
        As `sedkit.inference.detect.detect_scores` takes it.

    Returns
    -------
    Of each recording: `filename`, `duration_s`, `gain` of what was written, `classes` by label (`clip_score`, `file`
    relative to `out`, and with a reference the figures in dB), and with a reference `missed`, classes with a stem that
    were not separated.

    Raises
    ------
    SedkitError
        A file that cannot be read, or none that can; stems that do not fit; a folder that holds something else.
    """
    labels, rate = network.labels, network.frontend.sample_rate
    wanted = None if request.classes is None else [labels.index(label) for label in dict.fromkeys(request.classes)]
    folders, separator, out = folders_of(paths, request.out), Separator(network.frontend), []
    for folder in folders.values():
        _refuse_foreign(folder, labels.labels)
    for name, waveform in waveforms_of(paths, rate, refused, "separate"):
        clipwise, masks = network.of(waveform)
        classes = np.flatnonzero(clipwise > request.threshold).tolist() if wanted is None else wanted
        estimates = separator.separate(waveform, masks[classes])
        gain = min(1.0, _PEAK / max(float(np.abs(estimates).max(initial=0.0)), _PEAK))
        rows: dict[str, dict[str, Any]] = {
            labels.labels[k]: {
                "clip_score": round(float(clipwise[k]), 6),
                "file": f"{folders[name].name}/{_file_of(labels.labels[k])}",
            }
            for k in classes
        }
        record: dict[str, Any] = {
            "filename": name,
            "duration_s": round(len(waveform) / rate, 6),
            "gain": round(gain, 6),
            "classes": rows,
        }
        if request.reference is not None:
            record |= _judged(waveform, estimates, rows, request.reference[name], rate, request.taps)
        if classes:
            with atomic_folder(folders[name]) as aside:
                for label, estimate in zip(rows, estimates, strict=True):
                    write_wav(aside / _file_of(label), estimate * np.float32(gain), rate)
        else:
            remove(folders[name])
            best = int(clipwise.argmax())
            log.warning(
                "%s: no class has a clip score above %g (the highest: %s, %.3f); nothing to separate",
                name, request.threshold, labels.labels[best], clipwise[best],
            )  # fmt: skip
        if gain < 1:
            log.info("%s: its sounds were turned down together, by %.3f, so that none is clipped", name, gain)
        out.append(record)
    return out


def _file_of(label: str) -> str:
    return f"{label.replace('/', '_')}.wav"


def _refuse_foreign(folder: Path, labels: Sequence[str]) -> None:
    """Raise an error where a folder that will be replaced holds more than an earlier call's sounds."""
    if folder.exists() and not folder.is_dir():
        raise SedkitError(f"{folder}: is a file, expected a place for a folder")
    ours = {_file_of(label) for label in labels}
    if folder.is_dir() and (strangers := sorted(p.name for p in folder.iterdir() if p.name not in ours)):
        raise SedkitError(f"{folder}: holds {listed(strangers, 3)}, which no call wrote; name another --out")


def _judged(
    waveform: Floats, estimates: Floats, rows: dict[str, dict[str, Any]], folder: Path, rate: int, taps: int
) -> dict[str, Any]:
    """Add figures to the rows of the classes that have a stem; return what was missed."""
    stems = _stems(folder, rate, len(waveform))
    # What the stems leave over stands for a scene that is not there.
    scene = stems.pop(SCENE, None)
    scene = waveform - np.sum([*stems.values()], axis=0, dtype=np.float32) if scene is None else scene
    names = list(stems)
    files = [_file_of(label).removesuffix(".wav") for label in rows]
    at = np.array([i for i, name in enumerate(files) if name in stems], dtype=np.int64)
    source = np.array([names.index(files[i]) for i in at], dtype=np.int64)
    references = References.of(np.stack([*stems.values(), scene]), taps)
    figures = references.figures(estimates[at], source)
    before = references.figures(np.broadcast_to(waveform, (len(at), len(waveform))), source)
    sounds = list(rows.values())
    for i, of_estimate, of_mixture in zip(at, figures, before, strict=True):
        sounds[i] |= {name: number(value) for name, value in zip(FIGURES, of_estimate, strict=True)}
        sounds[i]["sdr_improvement"] = number(of_estimate[0] - of_mixture[0])
    return {"reference": str(folder), "missed": [name for name in names if name not in files]}


def _stems(folder: Path, rate: int, samples: int) -> dict[str, Floats]:
    """Read stems by name, each as long as the recording."""
    out = {}
    for path in sorted(folder.glob("*.wav")):
        waveform = read_audio(path, rate)
        if abs(len(waveform) - samples) > _SLACK_SAMPLES:
            raise SedkitError(
                f"{path}: {len(waveform) / rate:g} s, expected the {samples / rate:g} s of the recording that it is of"
            )
        out[path.stem] = np.pad(waveform, (0, max(0, samples - len(waveform))))[:samples]
    return out
