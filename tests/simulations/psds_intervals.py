"""How PSDS of few clips, and its interval, lie to PSDS of very many: a simulation on a real system's operating points.

    python tests/simulations/psds_intervals.py FOLDER [--draws 300] [--clips 50,100,150,300]

FOLDER holds `gt_validation.tsv`, `durations.tsv` and `{teacher,student}_operating_points.tar.xz` of the official
baseline of 2021. Its 1168 clips are the population, PSDS on all of them the truth. A set is drawn from them with
replacement; its official figure, the corrected estimate that its interval is built on, and the interval are compared
with the truth. Poorer systems are the student with its detections moved in time, alike at every threshold, or with
some of them left out. The same draws every time; no clock is read.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sedkit.dataio.events import Events
from sedkit.dataio.tables import read_durations, read_events
from sedkit.evaluation.coverage import Ground, PointCounts, count_detections, join_points, prepare
from sedkit.evaluation.overlaps import merge_overlaps
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.evaluation.psd_roc import corrected_psds, psds_of_weights, psds_value
from sedkit.evaluation.reading import read_operating_points
from sedkit.evaluation.resample import Resamples

RESAMPLES = 300


def main() -> None:
    """Print one line per system, figure and size of the set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--clips", default="50,100,150,300")
    args = parser.parse_args()
    ground = prepare(read_events(args.folder / "gt_validation.tsv")[0], read_durations(args.folder / "durations.tsv"))
    print("system            figure  clips   truth  official  corrected  rms error  rms error  inside  below  above")
    print("                                           (mean)     (mean)   official  corrected")
    for system, tables in systems(args.folder).items():
        for figure, parameters in (("PSDS1", PSDS1), ("PSDS2", PSDS2)):
            counts = count_detections(ground, join_points(ground, tables), parameters.criteria)
            for n_clips in map(int, args.clips.split(",")):
                line = simulate(counts, parameters, n_clips, args.draws)
                print(f"{system:<16}  {figure}  {n_clips:>5}  {line}", flush=True)


def systems(folder: Path) -> dict[str, list[Events]]:
    """Return the operating points of good and poor systems."""
    teacher, student = (points_of(folder / f"{name}_operating_points.tar.xz") for name in ("teacher", "student"))

    def moved(by_s: float) -> list[Events]:
        """Move the detections of a class in a clip, none before 0 s; what then overlaps is joined."""

        def move(table: Events, draw: np.ndarray) -> Events:
            onset = np.maximum(table.onset_s + by_s * draw, 0.0)
            offset = np.maximum(table.offset_s + by_s * draw, onset + 0.05)
            return merge_overlaps(replace(table, onset_s=onset, offset_s=offset))[0]

        return changed(student, move, lambda rng: rng.standard_normal())

    def thinned(share: float) -> list[Events]:
        return changed(student, lambda t, draw: t.take(np.flatnonzero(draw < share)), lambda rng: rng.random())

    return {
        "teacher": teacher,
        "student": student,
        "moved 0.5 s": moved(0.5),
        "moved 1.5 s": moved(1.5),
        "moved 3 s": moved(3.0),
        "40 % found": thinned(0.4),
    }


def points_of(archive: Path) -> list[Events]:
    """Read the operating points in an archive."""
    with tempfile.TemporaryDirectory() as out:
        with tarfile.open(archive) as tar:
            tar.extractall(out, filter="data")
        (folder,) = Path(out).iterdir()
        return list(read_operating_points(folder).tables)


def changed(
    tables: list[Events],
    change: Callable[[Events, np.ndarray], Events],
    draw: Callable[[np.random.Generator], float],
) -> list[Events]:
    """Change tables by one number per clip and class, the same at every threshold."""
    rng, drawn = np.random.default_rng(0), dict[tuple[str, str], float]()
    out = []
    for table in tables:
        keys = [(table.filenames[c], table.labels[k]) for c, k in zip(table.clip, table.label, strict=True)]
        for key in keys:
            if key not in drawn:
                drawn[key] = draw(rng)
        out.append(change(table, np.array([drawn[key] for key in keys])))
    return out


def simulate(counts: PointCounts, parameters: PsdsParameters, n_clips: int, draws: int) -> str:
    """Draw sets of clips and return the line of the table."""
    rng, n_all = np.random.default_rng(1), len(counts.ground.filenames)
    truth = psds_value(counts, parameters)[0]
    of_clip = rows_of(counts.clip, n_all)
    official, corrected, low, high = (np.zeros(draws) for _ in range(4))
    for i in range(draws):
        sample = drawn_counts(counts, of_clip, rng.integers(0, n_all, n_clips))
        resamples = Resamples(sample.ground.filenames, n=RESAMPLES, seed=int(rng.integers(2**31)))
        # Every clip once: the official figure, but that a class without an event is left out of it.
        official[i] = psds_of_weights(sample, np.ones((n_clips, 1), np.float32), parameters)[0]
        drawn = corrected_psds(sample, resamples, parameters)
        corrected[i] = 2 * drawn.estimate - np.nanmean(drawn.samples)
        low[i], high[i] = drawn.interval() or (np.nan, np.nan)
    inside, below, above = (low <= truth) & (truth <= high), high < truth, low > truth
    errors = (float(np.sqrt(np.mean((x - truth) ** 2))) for x in (official, corrected))
    return (
        f"{truth:>6.4f}  {official.mean():>8.4f}  {corrected.mean():>9.4f}"
        + "".join(f"  {error:>9.4f}" for error in errors)
        + "".join(f"  {100 * share.mean():>4.1f} %" for share in (inside, below, above))
    )


def rows_of(clip: np.ndarray, n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in order of their clip, and where each clip's begin."""
    order = np.argsort(clip, kind="stable")
    return order, np.searchsorted(clip[order], np.arange(n_clips + 1))


def drawn_counts(counts: PointCounts, of_clip: tuple[np.ndarray, np.ndarray], clips: np.ndarray) -> PointCounts:
    """Return the counts of a set of clips, each under a name of its own."""
    ground = counts.ground

    def rows(first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = np.diff(first)[clips]
        begin = np.repeat(first[:-1][clips] - np.cumsum(n) + n, n)
        return np.arange(n.sum()) + begin, np.repeat(np.arange(len(clips)), n)

    events = ground.events
    at, clip = rows(np.searchsorted(events.clip, np.arange(len(events.filenames) + 1)))
    names = tuple(f"c{i}" for i in range(len(clips)))
    part = Ground(replace(events.take(at), filenames=names, clip=clip), ground.duration_s[clips])
    order, first = of_clip
    at, clip = rows(first)
    return PointCounts(part, counts.n_points, counts.cell[order[at]], counts.kind[order[at]], clip)


if __name__ == "__main__":
    main()
