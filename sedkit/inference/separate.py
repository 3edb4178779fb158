"""Any recording to the sounds of its classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import atomic_folder, remove
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.dataio.audio import header_fault, read_audio, write_wav
from sedkit.dataio.names import stem
from sedkit.evaluation.bss import FIGURES, References
from sedkit.evaluation.counts import number
from sedkit.features.separation import Separator
from sedkit.features.sources import Floats
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


def folders_of(recordings: Mapping[str, Path], out: Path) -> dict[str, Path]:
    """Return the folder of each recording by its name (`sedkit.inference.recordings.recordings_of`).

    Raises
    ------
    UsageError
        Two would share one, or one would take the place of a recording's own.
    """
    folders = {name: out / stem(name) for name in recordings}
    if len(set(folders.values())) < len(folders):
        twice = [folder.name for folder in folders.values()]
        raise UsageError(
            f"two recordings are called {next(x for x in twice if twice.count(x) > 1)}, and so would their folders be; "
            "separate them with an --out each"
        )
    ours = {folder.resolve() for folder in folders.values()}
    for path in recordings.values():
        if path.resolve().parent in ours:
            raise UsageError(f"--out: {path.parent}, where {path.name} lies, would be replaced; name another folder")
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
        place = reference / stem(name)
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
    network: MaskPredictor, recordings: Mapping[str, Path], request: Request, refused: list[str] | None = None
) -> list[dict[str, Any]]:
    """Separate recordings of any length, sample rate and number of channels, one after the other.

    Parameters
    ----------
    network
        What gives the masks.
    recordings
        Audio files by name.
    request
        What is wanted of them.
    refused
        Takes, and the log says, why a recording cannot be read; it is left out. Without such a list it is an error.

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
    folders, separator, out = folders_of(recordings, request.out), Separator(network.frontend), []
    for folder in folders.values():
        _refuse_foreign(folder, labels.labels)
    for name, waveform in _waveforms(recordings, rate, refused):
        clipwise, masks = network.of(waveform)
        classes = np.flatnonzero(clipwise > request.threshold).tolist() if wanted is None else wanted
        sounds: dict[str, dict[str, Any]] = {
            labels.labels[k]: {
                "clip_score": round(float(clipwise[k]), 6),
                "file": (folders[name] / _file_of(labels.labels[k])).relative_to(request.out).as_posix(),
            }
            for k in classes
        }
        stems = None if request.reference is None else _Stems(request.reference[name], waveform, rate, request.taps)
        # One class at a time, so that an hour of many classes fits into memory.
        waveforms: Iterator[Floats] = (separator.separate(waveform, masks[k : k + 1])[0] for k in classes)
        if stems is not None:
            waveforms = stems.judged(sounds, waveforms)
        gain = 1.0
        if classes:
            with atomic_folder(folders[name]) as aside:
                peak = max(_write(aside / _file_of(label), x, rate) for label, x in zip(sounds, waveforms, strict=True))
                if peak > _PEAK:
                    gain = _PEAK / peak
                    for label, k in zip(sounds, classes, strict=True):
                        estimate = separator.separate(waveform, masks[k : k + 1])[0]
                        _write(aside / _file_of(label), estimate * np.float32(gain), rate)
                    log.info("%s: its sounds were turned down together, by %.3f, so that none is clipped", name, gain)
        else:
            remove(folders[name])
            best = int(clipwise.argmax())
            log.warning(
                "%s: no class has a clip score above %g (the highest: %s, %.3f); nothing to separate",
                name, request.threshold, labels.labels[best], clipwise[best],
            )  # fmt: skip
        record = {"filename": name, "duration_s": round(len(waveform) / rate, 6), "gain": round(gain, 6)}
        out.append(record | {"classes": sounds} | ({} if stems is None else stems.missed(sounds)))
    return out


def _waveforms(
    recordings: Mapping[str, Path], sample_rate: int, refused: list[str] | None
) -> Iterator[tuple[str, Floats]]:
    """Yield the name and the samples of each recording that can be read; there is at least one."""
    read = 0
    for name, path in progress(recordings.items(), len(recordings), "separate", "recording"):
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
        raise SedkitError(f"none of the {len(recordings)} recordings can be read")


def _write(path: Path, waveform: Floats, rate: int) -> float:
    """Write a sound and return its peak."""
    write_wav(path, waveform, rate)
    return max(float(waveform.max()), -float(waveform.min()))


def _file_of(label: str) -> str:
    return f"{label.replace('/', '_')}.wav"


def _refuse_foreign(folder: Path, labels: Sequence[str]) -> None:
    """Raise an error where a folder that will be replaced holds more than an earlier call's sounds."""
    if folder.exists() and not folder.is_dir():
        raise SedkitError(f"{folder}: is a file, expected a place for a folder")
    ours = {_file_of(label) for label in labels}
    if folder.is_dir() and (strangers := sorted(p.name for p in folder.iterdir() if p.name not in ours)):
        raise SedkitError(f"{folder}: holds {listed(strangers, 3)}, which no call wrote; name another --out")


class _Stems:
    """What a recording is made of: `<class>.wav` and `scene.wav`, in place of which what is left over may stand."""

    def __init__(self, folder: Path, waveform: Floats, rate: int, taps: int) -> None:
        self._folder, sources = folder, {}
        for path in sorted(folder.glob("*.wav")):
            stem_of = read_audio(path, rate)
            if abs(len(stem_of) - len(waveform)) > _SLACK_SAMPLES:
                raise SedkitError(
                    f"{path}: {len(stem_of) / rate:g} s, expected the {len(waveform) / rate:g} s of the recording that "
                    "it is of"
                )
            sources[path.name] = np.pad(stem_of, (0, max(0, len(waveform) - len(stem_of))))[: len(waveform)]
        scene = sources.pop(f"{SCENE}.wav", None)
        if scene is None:
            scene = waveform - np.sum([*sources.values()], axis=0, dtype=np.float32)
        self._row = {name: i for i, name in enumerate(sources)}
        self._references = References.of(np.stack([*sources.values(), scene]), taps)
        every = np.arange(len(sources))
        self._before = self._references.figures(waveform[None], every, np.zeros_like(every))

    def judged(self, sounds: dict[str, dict[str, Any]], waveforms: Iterable[Floats]) -> Iterator[Floats]:
        """Give waveforms on, and add figures to the sounds that have a stem."""
        for (label, sound), waveform in zip(sounds.items(), waveforms, strict=True):
            row = self._row.get(_file_of(label))
            if row is not None:
                (figures,) = self._references.figures(waveform[None], np.array([row]))
                sound |= {name: number(value) for name, value in zip(FIGURES, figures, strict=True)}
                sound["sdr_improvement"] = number(figures[0] - self._before[row, 0])
            yield waveform

    def missed(self, sounds: Iterable[str]) -> dict[str, Any]:
        """Return where the stems lie, and which are of no sound."""
        separated = {_file_of(label) for label in sounds}
        return {"reference": str(self._folder), "missed": [stem(x) for x in self._row if x not in separated]}
