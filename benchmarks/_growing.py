"""Works whose cost is measured at several sizes, each in a process of its own: `python -m benchmarks._growing …`.

A set of any size is a first one again and again, so that what a work makes of the first clips, and every figure, must
be the same at each size.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._process import peak_mib
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.events import Events, tags_of


class Outcome(NamedTuple):
    """What a work left.

    Attributes
    ----------
    digest
        Of what it made of the first clips.
    mapped_mib
        Of its input files, as far as they count as memory only because they are mapped.
    """

    digest: str
    mapped_mib: float = 0.0


#: Operating points that are scored.
POINTS = 50
SECONDS = 10.0
METRICS = ("event", "segment", "intersection", "psds1", "psds2")


def features(folder: Path, clips: int, unit: int) -> Callable[[], Outcome]:
    """Extract."""
    from sedkit.dataio.datadir import DataDir
    from sedkit.dataio.store import FeatureFile
    from sedkit.features.extract import extract
    from sedkit.features.frontends.logmel import LogMel

    out = folder / "made.h5"
    extract(DataDir(folder / f"set{clips}"), LogMel(), out)
    return lambda: Outcome(_sha(FeatureFile(out).features[:unit]))


def mixing(folder: Path, clips: int, unit: int) -> Callable[[], Outcome]:
    """Plan and render."""
    from benchmarks.mixing import settings
    from sedkit.dataio.datadir import DataDir
    from sedkit.synthesis.mixture_set import render_plan
    from sedkit.synthesis.plan import draw
    from sedkit.synthesis.plan_file import read_plan, write_plan

    path, out = folder / "plan.yaml", folder / "made"
    write_plan(path, draw(settings(clips), DataDir(folder / "events/set"), DataDir(folder / "scenes/set")))
    plan = read_plan(path)
    render_plan(path, plan, out, stems=False, force=True)
    made = DataDir(out)
    return lambda: Outcome(_sha(*(made.audio_path(i).read_bytes() for i in range(unit))))


def prediction(folder: Path, clips: int, unit: int) -> Callable[[], Outcome]:
    """Score windows of stored features, and write the scores."""
    from sedkit.dataio.store import write_scores
    from sedkit.inference.clips import Place, open_clips
    from sedkit.inference.predict import predict_clips
    from sedkit.inference.predictor import Predictor

    path = folder / f"features{clips}.h5"
    predictor = Predictor.open(folder / "network.pt", "cpu")
    scores = predict_clips(predictor, open_clips(Place(path, None), predictor.frontend))
    write_scores(folder / "made.h5", scores)
    return lambda: Outcome(_sha(scores.framewise[:unit]), path.stat().st_size / 2**20)


def scoring(folder: Path, clips: int, unit: int) -> Callable[[], Outcome]:
    """Read tables and operating points, and score them."""
    from sedkit.dataio.tables import read_durations
    from sedkit.evaluation.evaluate import evaluate
    from sedkit.evaluation.inputs import Output, Truth
    from sedkit.evaluation.reading import read_operating_points, read_reference, read_table_to_score

    tables = folder / f"tables{clips}"
    reference = read_reference(tables / "reference.tsv")
    truth = Truth(reference, tags_of(reference), read_durations(tables / "durations.tsv"))
    estimate = read_table_to_score(tables / "points/th_0.49.tsv", "estimate")
    results = evaluate(truth, Output(estimate, read_operating_points(tables / "points")), METRICS)
    f1 = [results[f"{of}_based"]["macro"]["f1"] for of in METRICS[:3]]
    figures = [*f1, *(results[of]["value"] for of in METRICS[3:])]
    return lambda: Outcome(" ".join(f"{figure:.9f}" for figure in figures))


def _sha(*blocks: bytes | np.ndarray) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block if isinstance(block, bytes) else np.ascontiguousarray(block))
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------- what they read


def make_features_input(folder: Path, sizes: list[int], unit: int) -> None:
    """Write recordings, and data dirs that list them again and again."""
    from benchmarks.features import make_set, repeated

    data = make_set(folder, min(unit, 8))
    for clips in sizes:
        repeated(data, clips, folder / f"set{clips}")


def make_mixing_input(folder: Path, sizes: list[int], unit: int) -> None:
    """Write events and scenes."""
    from benchmarks.mixing import make_sources

    make_sources(folder)


def make_prediction_input(folder: Path, sizes: list[int], unit: int) -> None:
    """Write a network and features of noise."""
    from benchmarks._checkpoint import FRONTEND, WINDOW, make_checkpoint
    from sedkit.dataio.store import write_features

    make_checkpoint(folder / "network.pt", {"name": "cnn9_avg", "base_channels": 16})
    noise = 20 * np.random.default_rng(0).standard_normal((unit, WINDOW, FRONTEND.n_bins), dtype=np.float32) - 40
    about = {"frontend": FRONTEND.as_dict(), "frontend_hash": FRONTEND.hash8, "scale": FRONTEND.scale}
    grid = {"sample_rate": FRONTEND.sample_rate, "hop_samples": FRONTEND.grid.hop_samples}
    for clips in sizes:
        names = [f"{i:05d}.wav" for i in range(clips)]
        block = noise[np.arange(clips) % unit]
        write_features(folder / f"features{clips}.h5", names, block, np.full(clips, WINDOW), **about, **grid)


def make_scoring_input(folder: Path, sizes: list[int], unit: int) -> None:
    """Write a reference with three events a clip, and operating points that find fewer the higher the threshold."""
    from sedkit.core.files import write_text
    from sedkit.dataio.tables import write_events

    rng, n = np.random.default_rng(0), 3 * unit
    # Each of a clip's events has a third of the clip to itself: none of a class may overlap.
    onset_s = np.tile(SECONDS / 3 * np.arange(3), unit) + rng.uniform(0.3, 0.8, n)
    length_s, shift_s = rng.uniform(0.5, 2, n), rng.uniform(-0.3, 0.3, n)
    label, wrong = rng.integers(len(DESED_CLASSES), size=(2, n))
    score, reference = rng.random(n), _Rows(np.repeat(np.arange(unit), 3), label, onset_s, onset_s + length_s)
    tables = {"reference.tsv": reference}
    for threshold in (np.arange(POINTS) + 0.5) / POINTS:
        # Where the threshold is low, some of what is found is of another class.
        said = np.where(score < 2 * threshold, label, wrong)
        begin_s = onset_s + shift_s
        table = _Rows(reference.clip, said, begin_s, begin_s + length_s)
        tables[f"points/th_{threshold:.2f}.tsv"] = _Rows(*(column[score > threshold] for column in table))
    for clips in sizes:
        out, names = folder / f"tables{clips}", tuple(f"{i:05d}.wav" for i in range(clips))
        for name, table in tables.items():
            write_events(out / name, table.again(clips // unit, unit, names))
        rows = "".join(f"{name}\t{SECONDS}\n" for name in names)
        write_text(out / "durations.tsv", "filename\tduration\n" + rows)


class _Rows(NamedTuple):
    """Columns of a table of events."""

    clip: np.ndarray
    label: np.ndarray
    onset_s: np.ndarray
    offset_s: np.ndarray

    def again(self, times: int, unit: int, names: tuple[str, ...]) -> Events:
        """Return the events of so many times as many clips."""
        clip = (self.clip + unit * np.arange(times)[:, None]).ravel()
        label, onset_s, offset_s = (np.tile(column, times) for column in self[1:])
        return Events(names, DESED_CLASSES.labels, clip, label, onset_s, offset_s, np.arange(2, 2 + len(clip)))


WORKS = {work.__name__: work for work in (features, mixing, prediction, scoring)}
INPUTS = {
    "features": make_features_input,
    "mixing": make_mixing_input,
    "prediction": make_prediction_input,
    "scoring": make_scoring_input,
}


def main(work: str, folder: str, clips: str, unit: str, threads: str) -> None:
    """Do a work on the first clips, which starts everything up, then on all; print seconds, MiB and the outcome."""
    import threadpoolctl

    clock = time.process_time if int(threads) == 1 else time.perf_counter
    with threadpoolctl.threadpool_limits(int(threads)):
        if work == "prediction":
            import torch

            torch.set_num_threads(int(threads))
        WORKS[work](Path(folder), int(unit), int(unit))
        begin = clock()
        look = WORKS[work](Path(folder), int(clips), int(unit))
        took = clock() - begin
    peak = peak_mib()
    outcome = look()
    print(json.dumps({"seconds": took, "mib": peak - outcome.mapped_mib, "digest": outcome.digest}))


if __name__ == "__main__":
    main(*sys.argv[1:])
