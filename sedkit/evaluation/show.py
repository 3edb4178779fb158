"""What a results file says of what was scored, and the results as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.core.files import sha256_file
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.references import content_hash, known_reference
from sedkit.dataio.rows import read_table
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.base import Metric, all_metrics

_SHORT = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "error_rate": "ER",
    "average_precision": "AP",
    "roc_auc": "AUC",
    "sdr": "SDR",
    "sir": "SIR",
    "sar": "SAR",
    "sdr_improvement": "SDR gain",
}

#: An error rate above it is the official one of classes without reference events: 4.5e15 a false positive. In the
#: results file it stands as it is; a reader is told that it is undefined.
_NO_ERROR_RATE = 1e9


# ------------------------------------------------------------------------------------------- what was scored


def describe_reference(path: str, reference: Events | Tags, truth: Truth) -> dict[str, Any]:
    """Return the `reference` block of the whole table and of what was scored of it; warn of an outdated one."""
    out: dict[str, Any] = {
        "path": path,
        "sha256": sha256_file(path) if isinstance(reference, Tags) else content_hash(reference),
        "known_as": None,
        "clips": len(truth.tags.filenames),
        "events": int(truth.tags.present.sum()) if truth.events is None else truth.events.n_events,
    }
    known = None if truth.events is None else known_reference(out["sha256"])
    if known is not None and isinstance(reference, Events):
        smaller = out["events"] < reference.n_events or out["clips"] < len(reference.filenames)
        out["known_as"] = known.name + ("/subset" if smaller else "")
        if known.outdated_by is not None:
            log.warning("%s: %s: outdated, corrected as %s", path, known.title, known.outdated_by)
            out["outdated_by"] = known.outdated_by
    return out


def describe_output(output: Output, path: str, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the `estimate` block of the first form that an output has: a table, scores, operating points, masks.

    `partial` is False where it lists all the `wanted` clips, True where clips are missing although the output lists
    clips without events too (or is a file of scores), and None where that cannot be told: many tables leave out clips
    without events.
    """
    tables = (output.estimate,) if output.estimate is not None else output.points.tables if output.points else ()
    n_events: int | None = sum(table.n_events for table in tables)
    names = tuple(dict.fromkeys(name for table in tables for name in table.filenames))
    lists_empty = any(len(np.unique(table.clip)) < len(table.filenames) for table in tables)
    of_scores = output.estimate is None and output.scores is not None
    if of_scores and output.scores is not None:
        names, n_events, lists_empty = output.scores.filenames, None, True
    elif not tables and output.masks is not None:
        names, n_events, lists_empty = tuple(wanted), None, True
    listed = set(names)
    missing = [name for name in wanted if name not in listed]
    if names and wanted and len(missing) == len(wanted):
        raise SedkitError(
            f"{path}: none of its {len(names)} clips is in the reference ({names[0]!r} here, {wanted[0]!r} "
            "there); do the names differ in the folder, the ending or a leading letter?"
        )
    if missing and of_scores:
        log.warning(
            "%s: no scores for %s (%d of %d clips of the reference: they score 0, as clips without detections; "
            "--clips cuts the reference)",
            path,
            missing[0],
            len(missing),
            len(wanted),
        )
    return {
        "path": path,
        "sha256": hash_of(Path(path)),
        "clips": len(names),
        "events": n_events,
        "coverage": (len(wanted) - len(missing)) / len(wanted) if wanted else None,
        "partial": False if not missing else (True if lists_empty else None),
    }


def mark_missing(reference: dict[str, Any], estimate: dict[str, Any], *, whole: bool) -> None:
    """Mark figures as partial where the reference is a data dir's that lacks clips of the official list."""
    folder = Path(reference["path"]).parent
    if not ((folder / "clips.tsv").is_file() and (folder / "missing.tsv").is_file()):
        return
    missing = len(set(read_table(folder / "missing.tsv", ("filename",))["filename"]))
    if not missing:
        return
    estimate["partial"] = True
    if whole and estimate["coverage"] is not None:
        # Of clips that are not there nobody knows the fold: the coverage of a fold is that of its clips on disk.
        reference["missing"] = missing
        estimate["coverage"] *= reference["clips"] / (reference["clips"] + missing)
    log.warning(
        "%s: %d clips of the official list are not on disk (missing.tsv): partial figures", reference["path"], missing
    )


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and contents."""
    if path.is_file():
        return sha256_file(path)
    import hashlib

    lines = [f"{p.name} {sha256_file(p)}" for p in sorted(path.iterdir()) if p.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# ---------------------------------------------------------------------------------------------- what came out


def as_text(results: dict[str, Any]) -> str:
    """Return headline figures per metric, then figures per class."""
    reference, estimate = results["reference"], results["estimate"]
    known = f", {reference['known_as']}" if reference["known_as"] else ""
    if "outdated_by" in reference:
        known += f" (outdated, corrected as {reference['outdated_by']})"
    if estimate["partial"]:
        known += ", partial"
    events = "" if estimate["events"] is None else f"{estimate['events']} events, "
    coverage = "" if estimate["coverage"] is None else f", {estimate['coverage']:.1%} of the reference's clips listed"
    lines = [
        f"reference  {reference['path']} ({reference['clips']} clips, {reference['events']} events{known})",
        f"estimate   {estimate['path']} ({events}{estimate['clips']} clips{coverage})",
        "",
    ]
    blocks = [(metric, results[metric.block]) for metric in all_metrics().values() if metric.block in results]
    for metric, block in blocks:
        lines += _headline(metric, block)
    if "bootstrap" in results:
        b = results["bootstrap"]
        lines += ["", f"intervals: {b['level']:.0%}, {b['resamples']} resamples of {b['units']} {b['over']}"]
        for metric, block in blocks:
            if metric.below_interval and block.get("interval") and block["value"] < block["interval"][0]:
                lines.append(f"  {metric.title}: {metric.below_interval}")
    lines += ["", *_classes(blocks)]
    titled = {metric.block: metric for metric, _ in blocks}
    for which, of in results.get("baselines", {}).items():
        figures = (f"{titled[name].title} {_number(_main(titled[name], block))}" for name, block in of.items())
        lines.append(f"{which.replace('_', ' ')}: {'  '.join(figures)}")
    official = results["undefined"] == "official"
    lines.append(f"undefined figures: {'as the official tools have them' if official else 'counted as zero'}")
    for metric, block in blocks:
        if block.get("left_out_of_macro"):
            absent = ", ".join(block["left_out_of_macro"])
            lines.append(f"  {metric.title}: {absent} undefined, left out of the macro average")
        if (block.get("macro", {}).get("error_rate") or 0) > _NO_ERROR_RATE:
            lines.append(f"  {metric.title}: ER of classes without reference events that were predicted")
    return "\n".join(lines) + "\n"


def _main(metric: Metric, block: dict[str, Any]) -> float | None:
    figure: float | None = block.get("macro", block)[metric.primary]
    return figure


def _headline(metric: Metric, block: dict[str, Any]) -> list[str]:
    lines = []
    if "value" in block:
        variant = f"  ({block['variant']})" if "variant" in block else ""
        lines.append(f"{metric.title:<26} {_number(block['value'])}{_interval(block)}{variant}")
    at = f" at threshold {block['threshold']:g}, the best of {len(block['points'])}" if "threshold" in block else ""
    for place in ("macro", "micro"):
        if place in block:
            figures = {name: _number(value) for name, value in block[place].items() if name in _SHORT}
            figures[metric.primary] += _interval(block[place])
            shown = "  ".join(f"{_SHORT[name]} {figure}" for name, figure in figures.items())
            lines.append(f"{metric.title + ' ' + place:<26} {shown}{at}")
    for row in block.get("points", ()):
        shown = "  ".join(f"{place} F1 {_number(row[place]['f1'])}" for place in ("macro", "micro") if place in row)
        lines.append(f"  threshold {row['threshold']:<6g} {shown}")
    lines += [f"  {remark}" for remark in metric.remarks(block)]
    if block.get("official"):
        theirs = block["official"]
        figure = _main(metric, theirs)
        said = "undefined, as left out here" if figure is None else f"{_number(figure)}  equal"
        lines.append(f"  {theirs['tool']:<24} {said}")
    against = block.get("against") or {}
    for place in ("macro", "micro", "value"):
        if place in against:
            where = "" if place == "value" else f"{place} "
            difference = f"{_number(against[place]['difference'], '+')}{_interval(against[place])}"
            lines.append(f"  {where}against {against['path']}: {difference}")
    return lines


def _interval(block: dict[str, Any]) -> str:
    interval = block.get("interval")
    return "" if interval is None else f" [{interval[0]:.4f}, {interval[1]:.4f}]"


def _number(value: float | None, sign: str = "") -> str:
    return "undefined" if value is None or value > _NO_ERROR_RATE else f"{value:{sign}.4f}"


def _classes(blocks: list[tuple[Metric, dict[str, Any]]]) -> list[str]:
    names = dict.fromkeys(label for _, block in blocks for label in block["classes"])
    if not names:
        return []
    width = max(len(name) for name in names)
    lines = [" " * width + "".join(f"  {metric.column:>12}" for metric, _ in blocks)]
    for label in names:
        cells = []
        for metric, block in blocks:
            figure = block["classes"].get(label)
            if isinstance(figure, dict):
                figure = figure[metric.primary]
            cells.append(f"  {'-' if figure is None else f'{figure:.4f}':>12}")
        lines.append(f"{label:<{width}}" + "".join(cells))
    return [*lines, ""]
