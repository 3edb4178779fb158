"""Read what is to be scored, as it is found in the wild, say what is odd about it, and cut it to what is scored.

Rows that cannot be read end the call; everything else is scored as the official tools score it, with one warning
per kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.log import log
from sedkit.dataio.event_formats import is_table
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.excerpts import excerpt_of
from sedkit.dataio.names import renamed, stem
from sedkit.dataio.rows import TABLES, Finding, columns_of, read_rows, read_table, refuse, tables_in
from sedkit.dataio.tables import ERRORS, SOFT, read_events, read_weak
from sedkit.evaluation.inputs import OperatingPoints, Output, Truth

T = TypeVar("T")
#: The clips that are scored, of either side; None for all.
Kept = frozenset[str] | None

_HOW_SCORED = {
    "negative_duration": "counted as events by the event and segment metrics",
    "zero_duration": "counted as events by the event metrics, dropped by the intersection criterion",
    "negative_onset": "scored as they stand",
    "duplicate_row": "each row counts",
    "overlap": "each row counts in event and segment figures; --overlaps says what PSDS and intersection make of them",
    "empty_row_beside_events": "the empty row is passed over",
}
#: A number at the end of a name, after a separator (a dash is one after a letter or digit, else a sign).
_THRESHOLD = re.compile(r"(?:^|[^\d.,+-]|(?<=[A-Za-z\d])-)((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)$")


# ------------------------------------------------------------------------------------------------------- tables


def read_truth(path: str | Path) -> Events | Tags:
    """Read a reference: a strong or a weak table, or label tracks (`sedkit.dataio.event_formats`)."""
    columns = columns_of(path) if is_table(path) else ()
    return read_weak(path) if "event_labels" in columns and "event_label" not in columns else read_reference(path)


def read_reference(path: str | Path) -> Events:
    """Read the events of a reference as `read_table_to_score` does.

    A column `confidence` (MAESTRO, 2024) is honoured: rows of 0.5 and less, or of none, are not active and leave the
    table, as for the challenge script.
    """
    events = read_table_to_score(path, "reference")
    active = events.active()
    if events.confidence is not None:
        log.info("%s: %d of %d rows have a confidence above 0.5 and count", path, active.n_events, events.n_events)
    return active


def read_table_to_score(path: str | Path, what: str) -> Events:
    """Read a strong table; unreadable rows raise SedkitError, oddities are warned of, once per kind."""
    return _read_tables([path], what)[0]


def _read_tables(paths: Iterable[str | Path], what: str) -> list[Events]:
    tables, odd = [], []
    for path in paths:
        events, findings = read_events(path)
        unusable = (*ERRORS, "missing_label", *(("bad_confidence",) if what == "reference" else ()))
        errors = [f for f in findings if f.kind in unusable]
        if errors:
            more = f" (and {len(errors) - 1} more such rows)" if len(errors) > 1 else ""
            raise SedkitError(f"{errors[0].message}{more}; correct the {what}")
        tables.append(events if what == "reference" else replace(events, confidence=None))
        odd += [f for f in findings if f.kind not in SOFT]
    kinds: dict[str, list[Finding]] = {}
    for finding in odd:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, those in kinds.items():
        scored = _HOW_SCORED.get(kind, kind)
        log.warning("%s (%d such rows in the %s: %s)", those[0].message, len(those), what, scored)
    return tables


def threshold_of(stem: str) -> float | None:
    """Return the threshold in which the name of an operating point's table ends, None where it ends in none.

    >>> threshold_of("predictions_th_0.01"), threshold_of("th_1e-05"), threshold_of("th_-0.5")
    (0.01, 1e-05, None)
    """
    match = _THRESHOLD.search(stem)
    return float(match[1]) if match else None


def read_operating_points(folder: str | Path) -> OperatingPoints:
    """Read a folder with one table per threshold, whose file names end in it (`predictions_th_0.01.tsv`)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SedkitError(f"{folder}: no such folder, expected one table per threshold")
    paths: dict[float, Path] = {}
    for path in tables_in(folder):
        threshold = threshold_of(path.stem)
        if threshold is None:
            raise SedkitError(f"{path}: file name does not end in a threshold, expected a name like th_0.50.tsv")
        if threshold in paths:
            raise SedkitError(
                f"{path}: threshold {threshold:g} is that of {paths[threshold].name} too, expected each once"
            )
        paths[threshold] = path
    if not paths:
        raise SedkitError(f"{folder}: holds no table ({', '.join(TABLES)}), expected one per threshold")
    thresholds = tuple(sorted(paths))
    tables = _read_tables([paths[threshold] for threshold in thresholds], "operating points")
    return OperatingPoints(str(folder), thresholds, tuple(tables))


def read_other(path: str | Path) -> Output:
    """Read the output of `--against`: a table, a folder of operating points, or scores, whichever is there."""
    path = Path(path)
    if path.is_dir():
        first = next(iter(tables_in(path)), None)
        if first is not None and is_table(first) and "event_label" in columns_of(first):
            return Output(points=read_operating_points(path))
    if path.is_dir() or path.suffix in (".h5", ".hdf5"):
        from sedkit.dataio.store import read_scores

        return Output(scores=read_scores(path))
    return Output(estimate=read_table_to_score(path, "table of --against"))


def read_groups(path: str, filenames: Sequence[str]) -> dict[str, str]:
    """Read the group of each clip of a table whose column `group` is optional; a clip without one stands by itself."""
    table = read_rows(path, ("filename",), ("group",))
    refuse(table.findings, path)
    if "group" not in table.names:
        log.info("%s: has no column group: every clip is a group of its own", path)
        return {}
    groups: dict[str, str] = {}
    for line, name, group in zip(table.line, table.cells("filename"), table.cells("group"), strict=True):
        if groups.setdefault(name, group) != group:
            raise SedkitError(
                f"{path}:{line}: {name} is in group {group!r} here, in {groups[name]!r} in an earlier row"
            )
    groups = named_by_clip(filenames, groups, path)
    alone = [name for name in filenames if not groups.get(name)]
    if len(alone) < len(filenames):
        if alone:
            log.warning("%s: no group for %s (%d such clips: each is one of its own)", path, alone[0], len(alone))
    elif any(groups.values()):
        raise SedkitError(f"{path}: holds no clip of the reference, such as {listed(filenames, 1)}")
    else:
        log.warning("%s: no clip has a group: every clip is one of its own", path)
    return groups


# ----------------------------------------------------------------------------------- what clips are called


def names_as_in(reference: Sequence[str], names: Sequence[str], source: str, warn: bool = True) -> tuple[str, ...]:
    """Return the names that a table gives to clips as a reference has them.

    The challenge scripts compare file names as they stand, and so do tables here. A table none of whose names is the
    reference's but whose ids are (it has no audio endings, or others) means the same clips, and is warned of.
    """
    known = set(reference)
    if any(name in known for name in names):
        return tuple(names)
    new = renamed(names, reference, source)
    changed = [(here, there) for here, there in zip(names, new, strict=True) if here != there]
    if changed and warn:
        log.warning(
            "%s: names clips by another ending than the reference (%s here, %s there): taken as the same clips, "
            "where the official scripts, which compare names as they stand, find none",
            source,
            *changed[0],
        )
    return new


def named_by_clip(names: Sequence[str], by_clip: dict[str, T], source: str, warn: bool = True) -> dict[str, T]:
    """Call clips as the reference does."""
    return dict(zip(names_as_in(names, tuple(by_clip), source, warn), by_clip.values(), strict=True))


def named_as(names: Sequence[str], output: Output, warn: bool = True) -> Output:
    """Call the clips of an output as the reference does: scores by their ids, tables as `names_as_in` has it."""

    def called(table: Events) -> Events:
        nonlocal warn
        new = names_as_in(names, table.filenames, table.source, warn)
        warn = warn and new == table.filenames
        return replace(table, filenames=new)

    output = output.changed(called)
    return output if output.scores is None else replace(output, scores=output.scores.named_as(names))


# ------------------------------------------------------------------------------------- what of it is scored


def read_labels(path: str | None, reference: Events | Tags) -> tuple[str, ...] | None:
    """Read the classes of `--labels`, None where none are given."""
    if path is None:
        return None
    from sedkit.datasets.maps import load_classes

    labels = load_classes(path).labels
    absent = [name for name in labels if name not in reference.labels]
    if absent:
        log.warning(
            "%s: %s occurs nowhere in the reference%s", path, listed(absent), suggest(absent[0], reference.labels)
        )
    if len(absent) == len(labels):
        raise SedkitError(f"{path}: none of its {len(labels)} classes occurs in the reference")
    return labels


def read_cut(clips: str | None, folds: Sequence[str] | None, names: Sequence[str]) -> Kept:
    """Read which clips `--clips` and `--fold` keep, called as the reference does (`names`); None for all."""
    if clips is None:
        return None
    table = read_table(clips, ("filename",), ("fold",))
    listed_as = tuple(dict.fromkeys(table["filename"]))
    called = dict(zip(listed_as, names_as_in(names, listed_as, clips), strict=True))
    chosen = set(called.values())
    if folds:
        if "fold" not in table:
            raise SedkitError(f"{clips}: has no column fold, which --fold asks for")
        known = set(table["fold"])
        for fold in folds:
            if fold not in known:
                raise UsageError(f"--fold {fold}: not in {clips}{suggest(fold, known)}; it has {listed(sorted(known))}")
        rows = zip(table["filename"], table["fold"], strict=True)
        chosen = {called[name] for name, fold in rows if fold in folds}
    if not chosen.intersection(names):
        raise SedkitError(
            f"{clips}: none of its {len(chosen)} clips is in the reference ({names[0] if names else 'empty'!r})"
        )
    return frozenset(chosen)


def cut_truth(
    reference: Events | Tags,
    durations: Mapping[str, float] | None,
    classes: Sequence[str] | None,
    keep: Kept,
) -> Truth:
    """Return what is scored of a reference, and the durations of those clips and of their recordings."""
    if keep is not None:
        reference = reference.keep_clips([name for name in reference.filenames if name in keep])
    # A table may give the durations of the recordings that the clips are excerpts of: these are no clips.
    whole = {excerpt.recording for name in reference.filenames if (excerpt := excerpt_of(name)) is not None}
    whole -= {stem(name) for name in reference.filenames}
    recordings = {name: seconds for name, seconds in (durations or {}).items() if stem(name) in whole}
    if durations is not None:
        scored = durations if keep is None else keep
        durations = {n: s for n, s in durations.items() if n in scored and n not in recordings}
    if classes is not None:
        reference = reference.keep_labels([k for k in classes if k in reference.labels])
    if isinstance(reference, Tags):
        return Truth(None, reference, durations, recordings)
    return Truth(reference, tags_of(reference), durations, recordings)


def clips_of(output: Output) -> tuple[str, ...]:
    """Return the clips that an output lists, in any of its forms."""
    tables = [output.estimate] if output.estimate is not None else []
    tables += output.points.tables if output.points is not None else ()
    names = [name for table in tables for name in table.filenames]
    return tuple(dict.fromkeys([*names, *(output.scores.filenames if output.scores is not None else ())]))


def cut_output(output: Output, classes: Sequence[str] | None, keep: Kept) -> Output:
    """Return the tables of an output with what is scored of them; scores are cut by the metrics."""
    if keep is not None:
        output = output.changed(lambda table: table.keep_clips([n for n in table.filenames if n in keep]))
    if classes is not None:
        output = output.changed(lambda table: table.keep_labels([k for k in classes if k in table.labels]))
    return output
