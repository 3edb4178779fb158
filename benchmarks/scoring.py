"""Scoring of the 1168-clip validation set: sedkit against sed_eval and psds_eval, in one process.

Event, segment and intersection F1 of the predictions at 0.5, PSDS1 and PSDS2 of 50 operating points. Both sides start
from data in memory in the form they take: DataFrames for the official tools, integer-coded tables for sedkit. The time
that sedkit needs to make its tables from the same DataFrames is measured too. Figures must be equal, and 1000 bootstrap
resamples of all five figures faster than one official evaluation. Needs the vector dcase2021_baseline ($SEDKIT_SHARED).
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.errors import UsageError
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.tables import read_durations, read_events
from sedkit.evaluation import judges
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import OperatingPoints, Output, Truth
from sedkit.evaluation.parameters import PSDS1, PSDS2
from sedkit.evaluation.reading import read_operating_points
from sedkit.evaluation.resample import Resamples

RUNS = 3
COMPARISONS: Comparisons = {
    "scoring": ("sedkit", "sed_eval and psds_eval", 60.0),
    "scoring.from_dataframes": ("sedkit, from DataFrames", "sed_eval and psds_eval", None),
    "scoring.bootstrap": ("sedkit, with 1000 resamples", "sed_eval and psds_eval", 1.0),
}
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
        "event": judges.official_event(reference, estimate)["macro"]["f1"],
        "segment": judges.official_segment(reference, estimate)["macro"]["f1"],
        "intersection": judges.official_intersection(reference, estimate, None, seconds)["macro"]["f1"],
        "psds1": judges.official_psds(reference, points.tables, seconds, PSDS1),
        "psds2": judges.official_psds(reference, points.tables, seconds, PSDS2),
    }


def ours(truth: Truth, output: Output, resamples: int | None = None) -> dict[str, float]:
    """Run sedkit, with intervals from `resamples` resamples where given."""
    drawn = Resamples.of(truth, resamples) if resamples else None
    results = evaluate(truth, output, METRICS, resamples=drawn)
    return {
        "event": results["event_based"]["macro"]["f1"],
        "segment": results["segment_based"]["macro"]["f1"],
        "intersection": results["intersection_based"]["macro"]["f1"],
        "psds1": results["psds1"]["value"],
        "psds2": results["psds2"]["value"],
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


def shorter(truth: Truth, output: Output) -> tuple[Truth, Output]:
    """Return 100 clips and five of the operating points."""
    assert truth.events is not None and output.estimate is not None and output.points is not None
    names, points = truth.events.filenames[:100], output.points
    reference = truth.events.keep_clips(names)
    cut = OperatingPoints(points.path, points.thresholds[::10], tuple(t.keep_clips(names) for t in points.tables[::10]))
    durations = {name: truth.durations[name] for name in names} if truth.durations else None
    return Truth(reference, tags_of(reference), durations), replace(
        output, estimate=output.estimate.keep_clips(names), points=cut
    )


def run(form: Form) -> Report:
    """Score the same tables on both sides."""
    shared = Path(os.environ.get("SEDKIT_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    folder = shared / "vectors" / "dcase2021_baseline"
    if not folder.is_dir():
        raise UsageError(f"{folder} is not there; name the folder that holds vectors/ in SEDKIT_SHARED")
    truth, output = load(folder)
    if form.quick:
        truth, output = shorter(truth, output)
    events, estimate, points = truth.events, output.estimate, output.points
    assert events is not None and estimate is not None and points is not None
    frames = [judges.table(t) for t in (events, estimate, *points.tables)]

    def encode_and_score() -> dict[str, float]:
        reference, estimate, *tables = coded(frames)
        # The reference's DataFrame leaves out clips without events: they are listed again.
        reference, estimate = reference.keep_clips(events.filenames), estimate.keep_clips(events.filenames)
        made = OperatingPoints("points", points.thresholds, tuple(tables))
        return ours(Truth(reference, tags_of(reference), truth.durations), Output(estimate, made))

    def make_frames() -> None:
        for table in (*points.tables, *points.tables):
            judges.table(table)

    peer = COMPARISONS["scoring"][1]
    seconds, figures = in_turn(
        form,
        {
            peer: lambda: judged(truth, output),
            "making DataFrames": make_frames,
            "sedkit": lambda: ours(truth, output),
            "sedkit, from DataFrames": encode_and_score,
            "sedkit, with 1000 resamples": lambda: ours(truth, output, RESAMPLES),
        },
    )
    # The DataFrames that psds_eval takes are given, not made in its time.
    seconds[peer] -= seconds.pop("making DataFrames")
    wrong = {
        key: [m for m in METRICS if not abs(figures[a][m] - figures[b][m]) <= (1e-5 if m.startswith("psds") else 1e-9)]
        for key, (a, b, _) in COMPARISONS.items()
    }
    detections = sum(t.n_events for t in points.tables)
    return Report(
        title=f"{len(events.filenames)} clips, {events.n_events} events, {len(points.tables)} points, "
        f"{detections} detections",
        seconds=seconds,
        equal={key: not metrics for key, metrics in wrong.items()},
        work={"clips": len(events.filenames)},
        notes=(
            *(f"{m:<14}{figures['sedkit'][m]:.9f}  official {figures[peer][m]:.9f}" for m in METRICS),
            "no limit is named: reading the detections is nothing beside matching, whose fewest steps are not known",
        ),
    )
