"""Soundscapes of 10 s with three events over a background: `sedkit mix render` against Scaper's way, side by side.

Every contestant has one plan in memory and leaves a PCM16 file for each soundscape and tables of what is in them,
without stems; nothing that was read in an earlier run is remembered. sedkit also hashes what it made. The results are
checked in the same run: each written soundscape is its sources, added where the plan has them, to the last bit, and
their levels are the plan's within 0.1 dB (of loudness on Scaper's side, of the root mean square on the others'). The
best composition of soundfile and numpy, which mixes as sedkit does, is also timed.

Scaper 1.6.5 itself, patched to run, took 33 ms of processor time for such a soundscape on a machine where its way
written anew took 23 ms.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from benchmarks._measure import Comparisons, Form, Report, in_turn
from benchmarks.peers import scaper_soundscape as scaper
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Tags
from sedkit.synthesis.mixture_set import render_plan
from sedkit.synthesis.mixtures import Recordings
from sedkit.synthesis.plan import MixSettings, Mixture, draw
from sedkit.synthesis.plan_file import read_plan, write_plan

RUNS = 5
RATE, SECONDS, SNR_DB = 44100, 10, 5.0
EVENTS, SCENES, LABELS = 24, 8, ("a", "b", "c", "d")
COMPARISONS: Comparisons = {
    "mixing": ("sedkit mix render", "Scaper's way", 10.0),
    "mixing.best": ("sedkit mix render", "soundfile and numpy at their best", None),
}
LEAST = "files read, added and written"
#: Largest difference of a level that counts as equal, dB, and of a sample, steps of 16 bits.
TOLERANCE_DB, TOLERANCE = 0.1, 1.01


def make_set(folder: Path, seconds: list[float], tagged: bool) -> DataDir:
    """Write recordings of pink noise and a chirp, PCM16, one label each."""
    rng = np.random.default_rng(len(seconds))
    names = tuple(f"{i}.wav" for i in range(len(seconds)))
    for name, length_s in zip(names, seconds, strict=True):
        n = round(length_s * RATE)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) / np.sqrt(np.arange(n // 2 + 1) + 1), n)
        t = np.arange(n) / RATE
        chirp = np.sin(2 * np.pi * (100 * t + rng.uniform(100, 900) * t**2 / 2))
        write_wav(folder / f"audio/{name}", 0.2 * noise / np.abs(noise).max() + 0.05 * tagged * chirp, RATE)
    present = np.array([[i % len(LABELS) == k for k in range(len(LABELS))] for i in range(len(names))])
    clips = Clips(
        names,
        tuple(f"../audio/{name}" for name in names),
        np.array([soundfile.info(folder / f"audio/{name}").duration for name in names]),
    )
    return write_datadir(folder / "set", clips, Vocabulary(LABELS), Tags(names, LABELS, present) if tagged else None)


def rms(x: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def best(out: Path, scene: Path, events: list[scaper.Event]) -> None:
    """Mix one soundscape as sedkit does, with the libraries at their best: float32, in place, one write."""
    ground, _ = soundfile.read(scene, dtype="float32", frames=SECONDS * RATE)
    ground /= rms(ground)
    track = np.zeros_like(ground)
    for event in events:
        x, _ = soundfile.read(event.path, dtype="float32", frames=round(event.length_s * RATE))
        first = round(event.onset * RATE)
        track[first : first + len(x)] += x * np.float32(10 ** (event.snr_db / 20) / rms(x))
    peak = 2 * max(np.abs(track).max(), np.abs(ground).max())
    track += ground
    track *= np.float32(32767 / peak)
    soundfile.write(out, np.rint(track, out=track).astype(np.int16), RATE)
    rows = [f"{e.onset}\t{e.onset + e.length_s}\t{e.label}\n" for e in events]
    out.with_suffix(".txt").write_text("".join(rows))


def at_least(todo: list[tuple[str, Path, list[scaper.Event]]], out: Path) -> Callable[[], None]:
    """Return what no mixing of files can leave out: reading, adding and writing, in memory that is there already."""
    track = np.empty(SECONDS * RATE, dtype=np.float32)
    samples, event = np.empty(len(track), dtype=np.int16), np.empty(len(track), dtype=np.int16)

    def work() -> None:
        out.mkdir(exist_ok=True)
        for name, scene, events in todo:
            with open(scene, "rb", buffering=0) as file:
                file.readinto(samples)
            np.copyto(track, samples)
            for one in events:
                n, first = round(one.length_s * RATE), round(one.onset * RATE)
                with open(one.path, "rb", buffering=0) as file:
                    file.readinto(event[:n])
                part = track[first : first + n]
                np.add(part, event[: len(part)], out=part)
            np.copyto(samples, track, casting="unsafe")
            with open(out / name, "wb", buffering=0) as file:
                file.write(samples)

    return work


def faults(written: Path, scene: Path, events: list[scaper.Event], way: str) -> tuple[float, float]:
    """Fit a soundscape by its sources where the plan has them.

    Returns
    -------
    Largest difference of a sample in steps of 16 bits, and of an event's level from the plan's in dB.
    """
    level = {"loudness": lambda x: scaper.loudness(x, RATE), "rms": lambda x: 20 * np.log10(rms(x))}[way]
    ground = soundfile.read(scene)[0]
    # libsndfile rounds floating point down: half a step on average.
    columns, levels, fade = (
        [ground, np.ones_like(ground)],
        [level(ground)],
        round(scaper.FADE_S * RATE) if way == "loudness" else 0,
    )
    for event in events:
        x = soundfile.read(event.path)[0][: round(event.length_s * RATE)]
        levels.append(level(x))
        shape = np.ones(len(x))
        shape[:fade] = np.sin(0.5 * np.pi * np.arange(fade) / max(fade, 1)) ** 2
        shape *= shape[::-1]
        column = np.zeros(len(ground))
        first = round(event.onset * RATE)
        column[first : first + len(x)] = x * shape
        columns.append(column)
    matrix, y = np.stack(columns, axis=1), soundfile.read(written)[0]
    gains = np.linalg.lstsq(matrix, y, rcond=None)[0]
    heard = np.array(levels) + 20 * np.log10(np.delete(gains, 1))
    wrong = max(abs(heard[k + 1] - heard[0] - event.snr_db) for k, event in enumerate(events))
    return float(np.abs(matrix @ gains - y).max() * 32768), float(wrong)


def make_sources(folder: Path) -> tuple[DataDir, DataDir]:
    """Write the sets of events and of scenes."""
    lengths = list(np.random.default_rng(1).uniform(1, 4, EVENTS))
    events = make_set(folder / "events", lengths, tagged=True)
    return events, make_set(folder / "scenes", [float(SECONDS)] * SCENES, tagged=False)


def settings(count: int) -> MixSettings:
    """Return what is asked of so many soundscapes."""
    return MixSettings(
        "events", "scenes", count, folds=1, sample_rate=RATE, placement="uniform", snr="excerpt", snr_db=SNR_DB
    )


def run(form: Form) -> Report:
    """Make the soundscapes of one plan in each way."""
    count = 6 if form.quick else 100
    wanted = settings(count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_plan(folder / "plan.yaml", draw(wanted, *make_sources(folder)))
        plan = read_plan(folder / "plan.yaml")
        files, at = Recordings(plan), [0]

        def sources(mixture: Mixture) -> tuple[Path, list[scaper.Event]]:
            scene, paths = files.of(mixture)
            return scene, [
                scaper.Event(path, e.event_label, e.onset, e.offset - e.onset, e.snr_db)
                for path, e in zip(paths, mixture.events, strict=True)
            ]

        todo = [(m.mixture_name, *sources(m)) for m in plan.mixtures]

        def place(of: str) -> Path:
            out = folder / f"{of}{at[0]}.audio"
            out.mkdir(exist_ok=True)
            return out

        def new(run: int) -> None:
            at[0] = run
            for path in files.used(plan.mixtures).values():
                os.utime(path)  # what sedkit remembers of it does not count any more

        def each(of: str, make: Callable[..., None], *more: object) -> Callable[[], None]:
            return lambda: [make(place(of) / name, scene, events, *more) for name, scene, events in todo] and None

        seconds, _ = in_turn(
            form,
            {
                "Scaper's way": each("scaper", scaper.soundscape, SECONDS, RATE),
                "soundfile and numpy at their best": each("best", best),
                LEAST: at_least(todo, folder / "least"),
                "sedkit mix render": lambda: render_plan(
                    folder / "plan.yaml", plan, folder / f"ours{at[0]}", stems=False
                ),
            },
            new,
        )
        checked = {
            of: np.max([faults(place(of) / name, *source, way) for name, *source in todo[:20]], axis=0)
            for of, way in (("scaper", "loudness"), ("best", "rms"), ("ours", "rms"))
        }
    right = {of: bool((found <= (TOLERANCE, TOLERANCE_DB)).all()) for of, found in checked.items()}
    return Report(
        title=f"{count} soundscapes of {SECONDS} s: {wanted.events_per_mixture} events over a background, at {RATE} Hz",
        seconds=seconds,
        equal={"mixing": right["ours"] and right["scaper"], "mixing.best": right["ours"] and right["best"]},
        work={"soundscapes": count},
        limits=dict.fromkeys(COMPARISONS, LEAST),
        notes=tuple(
            f"{of}: samples within {steps:.2f} steps of the sources where the plan has them, levels within {db:.3f} dB"
            for of, (steps, db) in checked.items()
        ),
    )
