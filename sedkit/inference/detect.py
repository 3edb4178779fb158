"""Recordings by the thousand to events: each on its own, in many processes and calls, and in the end put together.

What is made of a recording is written as soon as it is done and stamped with what it was made from, so an interrupted
call goes on where it stopped, and calls on several machines share one place, each with its shard of the recordings.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.facts import joined as joined_facts
from sedkit.core.files import content_hash, lock, write_text
from sedkit.core.log import log, start_logging
from sedkit.core.parallel import cpu_jobs, progress, run_jobs
from sedkit.core.stamp import Source, Step, describe, facts_of
from sedkit.dataio.event_formats import FORMATS, Detected, read_detected, together

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores
    from sedkit.inference.detector import Detector

#: Another process costs some seconds to start, in which one detects in about this many clips.
_CLIPS_PER_JOB = 100

#: What no recording is to blame for: a disk that is full or may not be written.
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
#: Draws pictures of a recording (its file, scores and events), the first of them in a given place.
Draw = Callable[[Path, "Scores", Detected, Path], None]


class Recording(NamedTuple):
    """A recording, and where what is made of it goes.

    Attributes
    ----------
    name, path
        What it is called, and its file.
    events, scores, picture
        Files to write; without a place for its events they are returned, and the scores with them.
    """

    name: str
    path: Path
    events: Path | None = None
    scores: Path | None = None
    picture: Path | None = None


class Outcome(NamedTuple):
    """What became of a recording: an error, or nothing to say where files were written, or its events and scores."""

    error: str = ""
    detected: Detected | None = None
    scores: Scores | None = None


class Opening(NamedTuple):
    """What `Detector.open` is told; rules may be a file or a word, or those in the checkpoint (None)."""

    checkpoint: Path
    postprocessing: str | None = None
    network: str | None = None
    device: str = "auto"
    precision: str = "auto"
    window_s: float | str | None = None
    hop_s: float | None = None

    @property
    def inputs(self) -> dict[str, Source]:
        """The files that it names."""
        rules = self.postprocessing
        return {"checkpoint": self.checkpoint} | ({"postprocessing": rules} if rules and Path(rules).is_file() else {})

    @property
    def config(self) -> dict[str, Any]:
        """What it says besides."""
        return {name: value for name, value in self._asdict().items() if name not in self.inputs}


@functools.lru_cache(maxsize=1)
def opened(opening: Opening, threads: int | None, content: str) -> Detector:
    """Return the detector, opened once in a process.

    Parameters
    ----------
    threads
        Of the network; None: as many as torch takes.
    content
        A hash of what the files hold that it is opened from: they may be others since it was.
    """
    from sedkit.inference.detector import Detector

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    where, rules, *others = opening
    return Detector.open(where, rules, "best", *others)


@dataclass(frozen=True)
class Work:
    """What is done with each recording, in whatever process.

    Attributes
    ----------
    opening
        Of the detector.
    form
        Of the files of events, one of `FORMATS`.
    draw
        Draws pictures.
    tell
        Log a recording that cannot be read at once.
    threads
        As `opened` takes them.
    force
        Make again what is up to date.
    """

    opening: Opening
    form: str = "json"
    draw: Draw | None = None
    tell: bool = True
    threads: int | None = None
    force: bool = False

    def step(self, recording: Recording) -> Step:
        """Return the step that makes the files of a recording."""
        assert recording.events is not None
        others = {"scores": recording.scores, "picture": recording.picture}
        step = Step(
            "detect",
            recording.events,
            {**self.opening.config, "format": self.form},
            {"recording": recording.path, **self.opening.inputs},
            self.force,
            beside=lambda: {role: path for role, path in others.items() if path is not None},
            facts=lambda: self._facts(self._detector(step.content())),
        )
        return step

    def _detector(self, content: Mapping[str, Any]) -> Detector:
        """Return the detector for a step's content: what was opened before may not be what is there now."""
        files = {role: files for role, files in content.items() if role in self.opening.inputs}
        return opened(self.opening, self.threads, content_hash(files))

    def _facts(self, detector: Detector) -> dict[str, Any]:
        """Return what is known of the run and of its rules; nothing of the recordings."""
        run = dict(detector.predictor.run)
        return joined_facts({"saw": run.pop("saw", {}), "run": run}, detector.rules.facts, run=run)

    def is_due(self, recording: Recording) -> bool:
        """Tell whether there is anything to make of a recording; where it cannot be told, as of no file, there is."""
        with contextlib.suppress(SedkitError, OSError):
            return recording.events is None or not self.step(recording).holds(quiet=True)
        return True

    def do(self, recording: Recording) -> Outcome:
        """Detect in a recording; one that cannot be read is told of, and does not stop others."""
        start_logging()
        files = {role: describe(path).items() for role, path in self.opening.inputs.items()}
        # A system that cannot be opened is no recording's fault.
        now = {role: {name: sha for name, (_, sha) in described} for role, described in files.items()}
        detector = self._detector(now)
        try:
            if recording.events is None:
                return self._made(detector, recording)
            step = self.step(recording)
            with step.running() as due:
                if due:
                    self._made(self._detector(step.content()), recording)
            return Outcome()
        except UsageError:
            raise
        except SedkitError as error:
            outcome = Outcome(str(error))
        except OSError as error:
            if error.errno in _NOWHERE or error.filename not in (None, os.fspath(recording.path)):
                raise
            outcome = Outcome(f"{error.filename or recording.path}: {error.strerror or error}")
        if self.tell:
            log.error("%s", outcome.error)
        return outcome

    def _made(self, detector: Detector, recording: Recording) -> Outcome:
        from sedkit.dataio.store import write_scores

        scores = detector.scores(recording.path, name=recording.name)
        detected = detector.detected(scores)
        if recording.scores is not None:
            write_scores(recording.scores, scores)
        if recording.picture is not None and self.draw is not None:
            self.draw(recording.path, scores, detected, recording.picture)
        if recording.events is not None:
            write_text(recording.events, FORMATS[self.form].text(detected))
        return Outcome(detected=detected, scores=scores)


def detect_recordings(work: Work, recordings: Sequence[Recording], jobs: int | None = None) -> list[Outcome]:
    """Detect in recordings that are not up to date.

    Parameters
    ----------
    work
        What is done with each.
    recordings
        In the order of the outcomes.
    jobs
        Processes, of one thread each; None: one whose network has every core or, of hundreds of recordings and without
        a GPU, as many as there are cores.

    Returns
    -------
    Of each recording what became of it.
    """
    compared = progress(recordings, description="compare", unit="recording")
    due = [i for i, recording in enumerate(compared) if work.is_due(recording)]
    if len(due) < len(recordings):
        log.info("detect: goes on: %d of %d recordings are up to date", len(recordings) - len(due), len(recordings))
    if jobs is None:
        enough = min(cpu_jobs(), 1 + len(due) // _CLIPS_PER_JOB)
        jobs = enough if enough > 1 and _on_cpu(work.opening.device) else 1
    if jobs > 1 and len(due) > 1:
        work = replace(work, threads=1)
    outcomes = [Outcome()] * len(recordings)
    for i, outcome in zip(due, run_jobs(work.do, [recordings[i] for i in due], jobs, "detect"), strict=True):
        outcomes[i] = outcome
    return outcomes


@dataclass(frozen=True)
class Whole:
    """One file of the events of many recordings, another of their scores, made of what each of them leaves.

    Attributes
    ----------
    work
        What is done with each recording, whose events are kept in the format `json`.
    recordings
        All of them, in the order of the file.
    out, scores
        The files; that of scores where they are wanted.
    form
        Of `out`, one of `FORMATS`.
    """

    work: Work
    recordings: Sequence[Recording]
    out: Path
    scores: Path | None = None
    form: str = "tsv"

    @property
    def step(self) -> Step:
        """Return the step that makes the files."""
        pictures = {r.name: r.picture for r in self.recordings if r.picture is not None}
        scores = {} if self.scores is None else {"scores": self.scores}
        return Step(
            "detect",
            self.out,
            {**self.work.opening.config, "format": self.form, "names": [r.name for r in self.recordings]},
            {"recordings": {r.name: r.path for r in self.recordings}, **self.work.opening.inputs},
            self.work.force,
            beside=lambda: {**scores, **({"pictures": pictures} if pictures else {})},
            facts=lambda: facts_of(self.recordings[0].events or ""),
        )

    def holds(self) -> bool:
        """Tell whether the files are up to date, and say so."""
        with contextlib.suppress(OSError):
            return self.step.holds()
        return False

    def make(self, outcomes: Sequence[Outcome]) -> Detected:
        """Put together what recordings left, without those whose outcome is an error, and return their events.

        What they left goes where there is no error; else it stays, and another call makes only what lacks.
        """
        done = [r for r, outcome in zip(self.recordings, outcomes, strict=True) if not outcome.error]
        if len(done) < len(self.recordings):
            return self._write(done)
        with self.step.running() as due:
            if due and any(map(self.work.is_due, done)):
                raise SedkitError(
                    f"{self.out}: recordings, network or rules were changed while it was made; the same call goes on"
                )
            detected = self._write(done) if due else _read(done)
        for folder in parts_of(self.out), *([] if self.scores is None else [parts_of(self.scores)]):
            shutil.rmtree(folder, ignore_errors=True)
        return detected

    def _write(self, done: Sequence[Recording]) -> Detected:
        from sedkit.dataio.scores import joined
        from sedkit.dataio.store import read_scores, write_scores

        detected = _read(done)
        if self.scores is not None:
            write_scores(self.scores, joined([read_scores(r.scores) for r in done if r.scores]))
        write_text(self.out, FORMATS[self.form].text(detected))
        return detected

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Hold off other calls for the same file until the block ends."""
        return lock(parts_of(self.out) / ".lock")


def _read(recordings: Sequence[Recording]) -> Detected:
    return together([read_detected(recording.events) for recording in recordings if recording.events is not None])


def parts_of(out: Path) -> Path:
    """Return the folder of what recordings leave for a file."""
    return out.with_name(f"{out.name}.parts")


def _on_cpu(device: str) -> bool:
    from sedkit.models.precision import choose_device

    return choose_device(device).type == "cpu"
