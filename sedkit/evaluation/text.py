"""The results of `sedkit score` as a table for people."""

from __future__ import annotations

from typing import Any

from sedkit.evaluation.metrics.base import Metric
from sedkit.evaluation.metrics.registry import all_metrics

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


def as_text(results: dict[str, Any]) -> str:
    """Return headline figures per metric, then figures per class."""
    reference, estimate = results["reference"], results["estimate"]
    known = f", {reference['known_as']}" if reference["known_as"] else ""
    if "outdated_by" in reference:
        known += f" (outdated, corrected as {reference['outdated_by']})"
    if estimate["partial"]:
        known += ", partial"
    lines = [
        f"reference  {reference['path']} ({reference['clips']} clips, {reference['events']} events{known})",
        f"estimate   {estimate['path']} ({_listed(estimate)})",
        "",
    ]
    blocks = [(metric, results[metric.block]) for metric in all_metrics().values() if metric.block in results]
    for metric, block in blocks:
        lines += _headline(metric, block)
    if "bootstrap" in results:
        b = results["bootstrap"]
        lines += ["", f"intervals: {b['level']:.0%}, {b['resamples']} resamples of {b['units']} {b['over']}"]
        lines += [
            f"  {metric.title}: {metric.below_interval}"
            for metric, block in blocks
            if metric.below_interval and block.get("interval") and block["value"] < block["interval"][0]
        ]
    lines += ["", *_classes(blocks)]
    titled = {metric.block: metric for metric, _ in blocks}
    for which, of in results.get("baselines", {}).items():
        figures = "  ".join(f"{titled[name].title} {_number(_main(titled[name], block))}" for name, block in of.items())
        lines.append(f"{which.replace('_', ' ')}: {figures}")
    lines.append(
        "undefined figures: "
        + ("as the official tools have them" if results["undefined"] == "official" else "counted as zero")
    )
    for metric, block in blocks:
        if block.get("left_out_of_macro"):
            lines.append(
                f"  {metric.title}: {', '.join(block['left_out_of_macro'])} undefined, left out of the macro average"
            )
        if (block.get("macro", {}).get("error_rate") or 0) > _NO_ERROR_RATE:
            lines.append(f"  {metric.title}: ER of classes without reference events that were predicted")
    return "\n".join(lines) + "\n"


def _listed(estimate: dict[str, Any]) -> str:
    events = "" if estimate["events"] is None else f"{estimate['events']} events, "
    coverage = "" if estimate["coverage"] is None else f", {estimate['coverage']:.1%} of the reference's clips listed"
    return f"{events}{estimate['clips']} clips{coverage}"


def _main(metric: Metric, block: dict[str, Any]) -> float | None:
    figure: float | None = block.get("macro", block)[metric.primary]
    return figure


def _headline(metric: Metric, block: dict[str, Any]) -> list[str]:
    if "value" in block:
        variant = f"  ({block['variant']})" if "variant" in block else ""
        lines = [f"{metric.title:<26} {_number(block['value'])}{_interval(block)}{variant}"]
    else:
        at = f" at threshold {block['threshold']:g}, the best of {len(block['points'])}" if "threshold" in block else ""
        lines = []
        for place in ("macro", "micro"):
            if place in block:
                shown = "  ".join(
                    f"{_SHORT[k]} {_number(v)}{_interval(block[place]) if k == metric.primary else ''}"
                    for k, v in block[place].items()
                    if k in _SHORT
                )
                lines.append(f"{metric.title + ' ' + place:<26} {shown}{at}")
        for row in block.get("points", ()):
            lines.append(
                f"  threshold {row['threshold']:<6g} "
                + "  ".join(f"{place} F1 {_number(row[place]['f1'])}" for place in ("macro", "micro") if place in row)
            )
    lines += [f"  {remark}" for remark in metric.remarks(block)]
    if block.get("official"):
        theirs = block["official"]
        figure = theirs.get("macro", theirs).get(metric.primary)
        said = "undefined, as left out here" if figure is None else f"{_number(figure)}  equal"
        lines.append(f"  {theirs['tool']:<24} {said}")
    if block.get("against"):
        for place in ("macro", "micro", "value"):
            if place in block["against"]:
                d = block["against"][place]
                where = "" if place == "value" else f"{place} "
                shown = f"{_number(d['difference'], '+')}{_interval(d)}"
                lines.append(f"  {where}against {block['against']['path']}: {shown}")
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
