"""Folders of per-clip score TSVs: `onset offset <class>...`, one row per frame, the challenge's format since 2023."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, suggest
from sedkit.core.files import atomic_folder, read_bytes
from sedkit.core.parallel import progress
from sedkit.dataio.names import stem
from sedkit.dataio.rows import parse_rows, refuse, tables_in
from sedkit.dataio.scores import Scores

# Times are written with 6 decimals by some tools: neighbouring ends this close are one edge.
_TOLERANCE_S = 2e-6


def read_score_tsvs(folder: Path) -> Scores:
    """Read every `*.tsv` of a folder; see `store.read_scores`. Columns may stand in another order in each file."""
    paths = tables_in(folder, (".tsv",))
    if not paths:
        raise SedkitError(
            f"{folder}: no *.tsv in this folder, expected one per clip (onset, offset and one column per class)"
        )
    labels: tuple[str, ...] = ()
    grids: list[NDArray[np.float64]] = []
    values: list[NDArray[np.float64]] = []
    for path in progress(paths, description="reading scores"):
        table = parse_score_table(str(path), read_bytes(path))
        labels = labels or table.labels
        values.append(table.values if table.labels == labels else _reordered(table, labels))
        grids.append(_edges(table))
    n_frames = np.array([len(value) for value in values], dtype=np.int64)
    framewise = np.zeros((len(paths), n_frames.max(), len(labels)))
    for target, value in zip(framewise, values, strict=True):
        target[: len(value)] = value
    return Scores(
        framewise=framewise,
        n_frames=n_frames,
        duration_s=np.array([grid[-1] for grid in grids]),
        frame_edges_s=_common(grids),
        filenames=tuple(f"{path.name[: -len(path.suffix)]}.wav" for path in paths),
        labels=labels,
        producer=folder.name,
    )


@dataclass(frozen=True)
class ScoreTable:
    """One clip's scores: `onset_s`, `offset_s` (frames,) float64, `values` (frames, classes) float64, their lines."""

    source: str
    labels: tuple[str, ...]
    onset_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]
    values: NDArray[np.float64]
    line: NDArray[np.int64]


def parse_score_table(source: str, data: bytes) -> ScoreTable:
    """Read the bytes of a clip's score table, as sed_scores_eval does (pandas, float64).

    Raises
    ------
    SedkitError
        A header other than `onset offset <class>...`, a class that stands twice, no row, a row with more or fewer
        fields, or a cell that is no finite number.
    """
    rows = parse_rows(source, data, ("onset", "offset"), numbers=None)
    names = rows.names
    if names[:2] != ("onset", "offset") or len(names) < 3:
        header = " ".join(names)[:60]
        raise SedkitError(f"{source}:1: got the header {header!r}, expected onset, offset and one column per class")
    if len(set(names)) < len(names):
        raise SedkitError(f"{source}:1: a column stands twice, expected each class once")
    refuse(rows.findings, source)
    if rows.has_index:
        raise SedkitError(f"{source}:{rows.line[0]}: {len(names) + 1} fields, expected {len(names)} as in the header")
    if not len(rows):
        raise SedkitError(f"{source}: no frames, expected at least one row")
    table = rows.table()
    wrong = np.argwhere(~np.isfinite(table))
    if len(wrong):
        row, column = wrong[0]
        got = repr(rows.text(names[column], row)) if not rows.missing(names[column])[row] else "is missing"
        raise SedkitError(f"{source}:{rows.line[row]}: {names[column]} {got}, expected a finite number")
    return ScoreTable(source, names[2:], table[:, 0], table[:, 1], table[:, 2:], rows.line)


def score_tsv_text(scores: Scores, i: int) -> str:
    """Return the table of clip `i`, with all digits of its scores; frames from its end on are left out."""
    edges, classes = scores.edges(i), len(scores.labels)
    n = int(np.count_nonzero(np.diff(edges) > 0))
    edges = edges[: n + 1]
    table = np.empty((n, 2 + classes))
    table[:, 0], table[:, 1], table[:, 2:] = (edges[:-1], edges[1:], scores.framewise[i, :n])
    digits = 9 if scores.framewise.dtype == np.float32 else 17
    row = "%.10g\t%.10g" + f"\t%.{digits}g" * classes + "\n"
    return "\t".join(("onset", "offset", *scores.labels)) + "\n" + (row * n) % tuple(table.ravel().tolist())


def _reordered(table: ScoreTable, labels: tuple[str, ...]) -> NDArray[np.float64]:
    other = sorted(set(table.labels) ^ set(labels))
    if other:
        hint = suggest(other[0], [label for label in labels if label not in table.labels] or list(labels))
        raise SedkitError(
            f"{table.source}:1: {len(table.labels)} classes unlike the other files' {len(labels)}, the first is "
            f"{other[0]!r}{hint}"
        )
    return table.values[:, [table.labels.index(label) for label in labels]]


def _edges(table: ScoreTable) -> NDArray[np.float64]:
    onset, offset = table.onset_s, table.offset_s
    apart = np.abs(onset[1:] - offset[:-1]) > _TOLERANCE_S
    if apart.any():
        k = int(apart.argmax())
        raise SedkitError(
            f"{table.source}:{table.line[k + 1]}: onset {onset[k + 1]:g} after offset {offset[k]:g}, expected frames "
            "without gap or overlap"
        )
    edges = np.append(onset, offset[-1])
    back = np.diff(edges) <= 0
    if back.any() or edges[0] < 0:
        k = int(back.argmax())
        raise SedkitError(
            f"{table.source}:{table.line[k]}: onset {edges[k]:g}, offset {edges[k + 1]:g}, expected 0 <= onset < offset"
        )
    return edges


def _common(grids: list[NDArray[np.float64]]) -> NDArray[np.float64] | tuple[NDArray[np.float64], ...]:
    """One grid where every clip's is its beginning (its last frame may be cut at the clip's end), else one per clip."""
    longest = max(grids, key=lambda grid: (len(grid), grid[-1]))
    for grid in grids:
        n = len(grid) - 1
        if np.abs(grid[:n] - longest[:n]).max() > _TOLERANCE_S or grid[n] > longest[n] + _TOLERANCE_S:
            return tuple(grids)
    return longest


def write_score_tsvs(folder: str | Path, scores: Scores) -> None:
    """Write one `<id>.tsv` per clip (`onset offset <class>...`, the challenge's format); replaces the folder.

    Raises
    ------
    SedkitError
        Two clips of one id (names that differ in the audio ending alone).
    """
    of_id: dict[str, str] = {}
    for name in scores.filenames:
        if of_id.setdefault(stem(name), name) != name:
            raise SedkitError(
                f"{folder}: {of_id[stem(name)]} and {name} would both be written to {stem(name)}.tsv, expected names "
                "that differ without their ending"
            )
    with atomic_folder(folder) as temporary:
        for i, clip in enumerate(of_id):
            (temporary / f"{clip}.tsv").write_text(score_tsv_text(scores, i), encoding="utf-8")
