"""Scoring of the 1168-clip validation set: sedkit against sed_eval and psds_eval, in one process.

Event, segment and intersection F1 of the predictions at 0.5, PSDS1 and PSDS2 of 50 operating points. Both sides start
from data in memory in the form they take: DataFrames for the official tools, integer-coded tables for sedkit. The time
that sedkit needs to make its tables from the same DataFrames is measured too. Figures must be equal, the ratio at least
60, and 1000 bootstrap resamples of all five figures faster than one official evaluation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.tables import read_durations, read_events
from sedkit.evaluation import official
from sedkit.evaluation.evaluate import Interval, evaluate
from sedkit.evaluation.measures import Output, Truth
from sedkit.evaluation.psds import PSDS1, PSDS2
from sedkit.evaluation.reading import OperatingPoints, read_operating_points

LEAST_RATIO = 60.0
METRICS = ("event", "segment", "intersection", "psds1", "psds2")
RESAMPLES = 1000


def load(folder: Path) -> tuple[Truth, Output]:
    """Read the reference, the predictions at 0.5 and the operating points of the teacher."""
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(folder / "teacher_operating_points.tar.xz") as archive:
            archive.extractall(temporary, filter="data")
        (inner,) = Path(temporary).iterdir()
        points = read_operating_points(inner)
    reference = read_events(folder / "gt_validation.tsv")[0]
    estimate = read_events(folder / "teacher_predictions0.5.csv")[0]
    truth = Truth(reference, tags_of(reference), read_durations(folder / "durations.tsv"))
    return truth, Output(estimate, points)


def judged(truth: Truth, output: Output) -> dict[str, float]:
    """Run the official tools: sed_eval per clip, psds_eval once per metric, as the challenge's scripts call them."""
    reference, estimate, points, seconds = truth.events, output.estimate, output.points, truth.durations
    assert reference is not None and estimate is not None and points is not None and seconds is not None
    return {
        "event": official.official_event(reference, estimate)["macro"]["f1"],
        "segment": official.official_segment(reference, estimate)["macro"]["f1"],
        "intersection": official.official_intersection(reference, estimate, None, seconds)["macro"]["f1"],
        "psds1": official.official_psds(reference, points.tables, seconds, PSDS1),
        "psds2": official.official_psds(reference, points.tables, seconds, PSDS2),
    }


def ours(truth: Truth, output: Output, resamples: int | None = None) -> dict[str, float]:
    """Run sedkit, with intervals from `resamples` resamples where given."""
    found = evaluate(truth, output, METRICS, interval_of=Interval(resamples) if resamples else None)
    return {
        "event": found["event_based"]["macro"]["f1"],
        "segment": found["segment_based"]["macro"]["f1"],
        "intersection": found["intersection_based"]["macro"]["f1"],
        "psds1": found["psds1"]["value"],
        "psds2": found["psds2"]["value"],
    }


def coded(frames: Sequence[Any]) -> list[Events]:
    """Make sedkit's tables from DataFrames of filename, onset, offset, event_label, coding all names in one pass."""
    import pandas as pd

    clip, filenames = pd.factorize(np.concatenate([frame["filename"].to_numpy() for frame in frames]))
    label, labels = pd.factorize(np.concatenate([frame["event_label"].to_numpy() for frame in frames]))
    first = np.cumsum([0, *map(len, frames)])
    return [
        Events(
            filenames=tuple(filenames),
            labels=tuple(labels),
            clip=clip[a:b],
            label=label[a:b],
            onset_s=frame["onset"].to_numpy(),
            offset_s=frame["offset"].to_numpy(),
            line=np.arange(2, b - a + 2),
        )
        for frame, a, b in zip(frames, first[:-1], first[1:], strict=True)
    ]


def seconds_of(call: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(argv: Sequence[str]) -> int:
    """Measure, check and print; returns 1 where figures differ or a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scoring", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--vectors", type=Path, help="folder of the vector dcase2021_baseline (default: $SEDKIT_SHARED)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    args = parser.parse_args(argv)
    shared = Path(os.environ.get("SEDKIT_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    folder = args.vectors or shared / "vectors" / "dcase2021_baseline"
    if not folder.is_dir():
        print(f"benchmarks scoring: error: {folder} is not there: give --vectors")
        return 2
    warnings.simplefilter("ignore")
    truth, output = load(folder)
    assert truth.events is not None and output.estimate is not None and output.points is not None
    frames = [official.table(t) for t in (truth.events, output.estimate, *output.points.tables)]
    names = truth.events.filenames

    def encode_and_score() -> None:
        assert output.points is not None
        reference, estimate, *tables = coded(frames)
        points = OperatingPoints("points", output.points.thresholds, tuple(tables))
        # The reference's DataFrame leaves out clips without events: they are listed again.
        reference, estimate = reference.keep_clips(names), estimate.keep_clips(names)
        ours(Truth(reference, tags_of(reference), truth.durations), Output(estimate, points))

    def make_frames() -> None:
        assert output.points is not None
        for table in (*output.points.tables, *output.points.tables):
            official.table(table)

    ours(truth, output, 10)  # compiles, or loads what was compiled
    judged(truth, Output(output.estimate, OperatingPoints("p", (0.5,), output.points.tables[25:26])))  # imports
    times: dict[str, list[float]] = {"official": [], "sedkit": [], "with encoding": [], "with intervals": []}
    for _ in range(args.rounds):
        # The DataFrames that psds_eval takes are given, not made in its time.
        times["official"].append(seconds_of(lambda: judged(truth, output)) - seconds_of(make_frames))
        times["sedkit"].append(statistics.median(seconds_of(lambda: ours(truth, output)) for _ in range(5)))
        times["with encoding"].append(statistics.median(seconds_of(encode_and_score) for _ in range(5)))
        times["with intervals"].append(seconds_of(lambda: ours(truth, output, RESAMPLES)))
    theirs, found = judged(truth, output), ours(truth, output)
    wrong = [m for m in METRICS if abs(theirs[m] - found[m]) > (1e-5 if m.startswith("psds") else 1e-9)]
    median = {name: statistics.median(values) for name, values in times.items()}
    events = sum(t.n_events for t in output.points.tables)
    print(
        f"{len(names)} clips, {truth.events.n_events} events, {len(output.points.tables)} points, {events} detections"
    )
    for metric in METRICS:
        same = "DIFFERENT" if metric in wrong else "equal"
        print(f"  {metric:<14}{found[metric]:.9f}  official {theirs[metric]:.9f}  {same}")
    print(f"sed_eval + psds_eval              {median['official']:8.3f} s")
    rows = {
        "sedkit": "sedkit",
        "with encoding": "sedkit, from DataFrames",
        "with intervals": f"sedkit, {RESAMPLES} resamples",
    }
    for name, text in rows.items():
        print(f"{text:<34}{median[name]:8.3f} s  {median['official'] / median[name]:7.1f} times faster")
    ratio = median["official"] / median["sedkit"]
    faster = median["with intervals"] < median["official"]
    print(
        f"ratio {ratio:.1f}, wanted {LEAST_RATIO:g}; resampling {'' if faster else 'NOT '}faster than one official run"
    )
    return 0 if ratio >= LEAST_RATIO and faster and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
