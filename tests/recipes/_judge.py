"""Figures of events, such as of every class throughout, by sed_eval from the tables of a data dir alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def every_class_throughout(data_dir: Path, labels: Sequence[str]) -> dict[str, list[float]]:
    """Return F1 of each class, segment- and event-based (NaN where sed_eval has none)."""
    clips = pd.read_csv(data_dir / "clips.tsv", sep="\t")
    rows = [(clip.filename, label, 0.0, clip.duration) for clip in clips.itertuples() for label in labels]
    return judged(data_dir, labels, pd.DataFrame(rows, columns=["filename", "event_label", "onset", "offset"]))


def judged(
    data_dir: Path, labels: Sequence[str], estimate: pd.DataFrame, figure: str = "f_measure"
) -> dict[str, list[float]]:
    """Return F1, or the `error_rate`, of each class of a table of events, segment- and event-based, as above."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dcase_util
        import sed_eval
    clips = pd.read_csv(data_dir / "clips.tsv", sep="\t")
    strong = pd.read_csv(data_dir / "strong.tsv", sep="\t").dropna(subset=["event_label"])
    judges = {
        "segment_based": sed_eval.sound_event.SegmentBasedMetrics(list(labels), time_resolution=1.0),
        "event_based": sed_eval.sound_event.EventBasedMetrics(
            list(labels), t_collar=0.2, percentage_of_length=0.2, empty_system_output_handling="zero_score"
        ),
    }
    for name in clips["filename"]:
        of_clip = []
        for table in (strong, estimate):
            rows = table[(table["filename"] == name) & table["event_label"].isin(labels)]
            events = rows[["filename", "event_label", "onset", "offset"]].to_dict("records")
            of_clip.append(dcase_util.containers.MetaDataContainer(events))
        for judge in judges.values():
            judge.evaluate(*of_clip)
    return {
        name: [float(judge.results_class_wise_metrics()[label][figure][figure]) for label in sorted(labels)]
        for name, judge in judges.items()
    }


def macro(f1: Sequence[float], undefined_zero: bool = False) -> float:
    """Return the mean over the classes, those without an F1 left out or counted as 0."""
    return float(np.mean(np.nan_to_num(f1)) if undefined_zero else np.nanmean(f1))
