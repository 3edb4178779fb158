"""Mixtures of a plan on disk: a data dir, their audio and stems beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import content_hash, read_json, read_text, remove, this_process, write_json
from sedkit.core.log import log
from sedkit.core.parallel import run_jobs
from sedkit.core.stamp import Source, Step
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.datadir import FACTS, TABLES, Clips, DataDir, write_datadir
from sedkit.dataio.events import tags_of
from sedkit.dataio.names import stem
from sedkit.dataio.rows import write_table
from sedkit.synthesis.folds import groups_of
from sedkit.synthesis.mixtures import Level, Recordings, Studio, events_of
from sedkit.synthesis.plan import Mixture, MixturePlan

#: Data set of a data dir of mixtures.
DATASET = "mixtures"
#: Name of the scene's stem, so of no class.
SCENE = "scene"
#: In the data dir, a row an event: which recording, where, how loud.
LEVELS = "levels.tsv"
_KEY = "made_from.json"


@dataclass(frozen=True)
class Places:
    """Where a render goes: the data dir, and beside it the mixtures' audio, the stems, and what is half done."""

    out: Path

    def beside(self, what: str) -> Path:
        """Return a folder beside the data dir."""
        return self.out.with_name(f"{self.out.name}.{what}")

    @property
    def audio(self) -> Path:
        """Return the folder of the mixtures."""
        return self.beside("audio")

    @property
    def stems(self) -> Path:
        """Return the folder of the stems."""
        return self.beside("stems")

    @property
    def parts(self) -> Path:
        """Return the folder in which finished mixtures leave their levels, a line each, until all are."""
        return self.beside("audio.parts")

    def made(self, stems: bool) -> dict[str, Source]:
        """Return what a render makes besides the mixtures' audio."""
        tables = {name: self.out / name for name in (*TABLES, FACTS, LEVELS)}
        return {"tables": tables, "stems": self.stems} if stems else {"tables": tables}


@dataclass(frozen=True)
class Mixtures:
    """A rendered set (`sedkit mix render`): the mixtures of a data dir and, beside it, what each is made of.

    Attributes
    ----------
    data
        The data dir.
    folder
        Where the stems lie.
    sample_rate
        Rate in Hz to resample to; None keeps the files'.
    kept
        What a metric keeps for scoring the same mixtures again, by controls: ideal masks, a bit a cell.
    """

    data: DataDir
    folder: Path
    sample_rate: int | None = None
    kept: dict[Hashable, NDArray[np.uint8]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, folder: str | Path, sample_rate: int | None = None) -> Mixtures:
        """Open a rendered set; SedkitError where it is no data dir or has no stems."""
        data = DataDir(folder)
        stems = Places(Path(folder)).stems
        if not stems.is_dir():
            raise SedkitError(f"{stems}: no stems there; render the mixtures with `sedkit mix render --stems true`")
        return cls(data, stems, sample_rate)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.data.clips.filename)}

    def places(self, filenames: Iterable[str]) -> list[list[str | None]]:
        """Return which set some mixtures are of, with each of their folds, as facts have it (`core.facts`)."""
        folds = self.data.clips.fold
        rows = [self._row[name] for name in filenames if name in self._row]
        return [[self.data.identity, fold] for fold in dict.fromkeys(folds[i] if folds else None for i in rows)]

    def sources(self, filenames: Iterable[str]) -> dict[str, Path]:
        """Return every file that figures of these mixtures depend on."""
        tables = {name: self.data.path / name for name in ("clips.tsv", "labels.txt")}
        sounds = {f"{name}/": self.audio_path(name) for name in filenames}
        return (
            tables | sounds | {f"{name}/{x}": path for name in filenames for x, path in self.stem_paths(name).items()}
        )

    def audio_path(self, filename: str) -> Path:
        """Return where a mixture lies."""
        if filename not in self._row:
            raise SedkitError(f"{self.data.path}: has no mixture {filename}, expected the set that is scored")
        return self.data.audio_path(self._row[filename])

    def mixture(self, filename: str) -> NDArray[np.float32]:
        """Return a mixture, (samples,), full scale 1."""
        return read_audio(self.audio_path(filename), self.sample_rate)

    def stem_paths(self, filename: str) -> dict[str, Path]:
        """Return where the sounds of a mixture lie, by class in the order of the classes, the scene last."""
        self.audio_path(filename)
        folder = self.folder / stem(filename)
        paths = {path.stem: path for path in folder.glob("*.wav")}
        if SCENE not in paths:
            raise SedkitError(f"{folder / SCENE}.wav: not there; render the mixtures again with `sedkit mix render`")
        labels = self.data.labels.labels
        if unknown := sorted(paths.keys() - {*labels, SCENE}):
            raise SedkitError(f"{paths[unknown[0]]}: no class of {self.data.path / 'labels.txt'} has this name")
        return {label: paths[label] for label in (*labels, SCENE) if label in paths}

    def stems(self, filename: str) -> dict[str, NDArray[np.float32]]:
        """Return the sounds that add up to a mixture, each (samples,) and as loud as in it, by class and `scene`."""
        paths = self.stem_paths(filename)
        waveforms = {name: read_audio(path, self.sample_rate) for name, path in paths.items()}
        for name, waveform in waveforms.items():
            if len(waveform) != len(waveforms[SCENE]):
                raise SedkitError(
                    f"{paths[name]}: {len(waveform)} samples, expected the {len(waveforms[SCENE])} of {paths[SCENE]}"
                )
        return waveforms


def render_plan(
    path: Path, plan: MixturePlan, out: Path, *, stems: bool = True, jobs: int = 1, force: bool = False
) -> bool:
    """Render every mixture into a data dir; what an interrupted call has finished is kept.

    Parameters
    ----------
    path
        The plan's file, which counts as an input.
    plan
        What it holds, perhaps at another level.
    out
        The data dir; `<out>.audio/` and `<out>.stems/<mixture>/<label or scene>.wav` come to lie beside it.
    stems
        Whether to write stems.
    jobs
        Processes. They change no byte.
    force
        Render again what is up to date.

    Returns
    -------
    Whether there was anything to do.

    Raises
    ------
    UsageError
        `out` holds the plan or something else, or a class that has stems has the name of the scene's, or of no file.
    """
    places, recordings = Places(out), Recordings(plan)
    if out.resolve() in path.resolve().parents:
        raise UsageError(f"{out}: would take the place of {path}, which lies in it; name another --out")
    labels = {event.event_label for mixture in plan.mixtures for event in mixture.events}
    if stems and (wrong := sorted(x for x in labels if x == SCENE or "/" in x)):
        raise UsageError(f"{path}: label {wrong[0]!r} cannot name a stem; rename it, or render with --stems false")
    content = [asdict(mixture) for mixture in plan.mixtures]
    config = {"plan": content_hash(content), **asdict(Studio.of(plan)), "stems": stems}
    inputs: dict[str, Source] = {
        "plan": path,
        "recordings": recordings.used(plan.mixtures),
        "labels": plan.events / "labels.txt",
        "clips": plan.events / "clips.tsv",
    }
    step = Step("mix render", places.audio, config, inputs, force, beside=lambda: places.made(stems))
    ours = step.stamp_path.exists() or places.parts.exists() or (out / LEVELS).is_file()
    if not ours and (there := [x for x in (out, places.audio, places.stems) if x.exists() and any(x.iterdir())]):
        raise UsageError(f"{there[0]}: holds something that is no render of mixtures; name another --out")
    made = step.run(lambda: _render(plan, places, step, recordings, stems=stems, jobs=jobs, fresh=force))
    remove(places.parts)
    return made


def _render(
    plan: MixturePlan, places: Places, step: Step, recordings: Recordings, *, stems: bool, jobs: int, fresh: bool
) -> None:
    key = content_hash([step.config, step.content()])
    known = places.parts / _KEY
    if fresh or not known.is_file() or read_json(known) != key:
        for folder in (places.parts, places.audio, places.stems):
            remove(folder)
        write_json(known, key)
    done = _done(places)
    if done:
        log.info("mix render: %s: %d of %d mixtures are there already", places.audio, len(done), len(plan.mixtures))
    items = [(m, *recordings.of(m)) for m in plan.mixtures if m.mixture_name not in done]
    write = partial(_write, studio=Studio.of(plan), places=places, stems=stems)
    done |= run_jobs(write, items, jobs, "mix render")
    _write_data_dir(plan, places, [done[mixture.mixture_name] for mixture in plan.mixtures])


def _done(places: Places) -> dict[str, list[Level]]:
    """Return the levels of the mixtures that an interrupted call has finished."""
    done = {}
    for path in places.parts.glob("*.jsonl"):
        # What was being written when the call was interrupted has no end.
        *lines, _ = read_text(path).split("\n")
        done |= {name: [Level(*level) for level in levels] for name, levels in map(json.loads, lines)}
    return done


def _write(
    item: tuple[Mixture, Path, list[Path]], studio: Studio, places: Places, stems: bool
) -> tuple[str, list[Level]]:
    """Write one mixture and, when that is done, its levels."""
    mixture, scene, recordings = item
    tracks = studio.render(mixture, scene, recordings)
    if stems:
        folder = places.stems / stem(mixture.mixture_name)
        for name, x in {SCENE: tracks.scene, **tracks.stems}.items():
            write_wav(folder / f"{name}.wav", x, studio.sample_rate)
    write_wav(places.audio / mixture.mixture_name, tracks.mixture, studio.sample_rate)
    # A line in this process' file: a file for each mixture would take a tenth of the time of everything.
    with open(places.parts / f"{this_process()}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps([mixture.mixture_name, tracks.levels]) + "\n")
    return mixture.mixture_name, tracks.levels


def _write_data_dir(plan: MixturePlan, places: Places, levels: list[list[Level]]) -> None:
    """Write the tables of the mixtures: folds, source clips as groups, tags, events; and how loud events are."""
    source = DataDir(plan.events)
    group = dict(zip(source.clips.filename, groups_of(source.clips), strict=True))
    mixtures, names = plan.mixtures, tuple(m.mixture_name for m in plan.mixtures)
    clips = Clips(
        names,
        tuple(os.path.relpath(places.audio / name, places.out) for name in names),
        np.full(len(names), plan.samples / plan.sample_rate),
        tuple(m.fold for m in mixtures),
        tuple(",".join(sorted({group[e.event_audio_name] for e in m.events})) for m in mixtures),
    )
    strong = events_of(plan, [[level[:3] for level in of_mixture] for of_mixture in levels], source.labels.labels)
    facts = {"dataset": DATASET, "set": places.out.name, "role": "training"}
    write_datadir(places.out, clips, source.labels, tags_of(strong), strong, facts=facts)
    rows = [
        (mixture.mixture_name, event, level)
        for mixture, of_mixture in zip(mixtures, levels, strict=True)
        for event, level in zip(mixture.events, of_mixture, strict=True)
    ]
    columns: dict[str, Sequence[Any]] = {
        "filename": [name for name, _, _ in rows],
        "event_audio_name": [event.event_audio_name for _, event, _ in rows],
        "event_label": [event.event_label for _, event, _ in rows],
        "onset": [f"{level.start / plan.sample_rate:.6f}" for _, _, level in rows],
        "offset": [f"{level.end / plan.sample_rate:.6f}" for _, _, level in rows],
        "source_start": [f"{event.source_start:.6f}" for _, event, _ in rows],
        "snr_db": [f"{event.snr_db:g}" for _, event, _ in rows],
        "gain": [f"{level.gain:.8g}" for _, _, level in rows],
    }
    write_table(places.out / LEVELS, columns)
