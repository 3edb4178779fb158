"""What was run, in words: configuration, data, environment, energy and time of runs; and how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sedkit.core.files import read_text
from sedkit.core.numbers import is_number
from sedkit.dataio.events import tags_of
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.base import all_metrics
from sedkit.evaluation.resample import Resamples
from sedkit.report.runs import RunSubject
from sedkit.report.sets import SetSubject

_RESAMPLES = 1000
_NOT_TOLD = "not told"
#: Figure -> the block, and the place in it.
_FIGURES = {
    "event-based F1, macro": ("event_based", "macro"),
    "event-based F1, micro": ("event_based", "micro"),
    "segment-based F1, macro": ("segment_based", "macro"),
    "PSDS1": ("psds1", "value"),
    "PSDS2": ("psds2", "value"),
}


def facts_of_runs(runs: Sequence[RunSubject]) -> list[tuple[str, list[str]]]:
    """Return what is told of runs: names of facts, each with its value for every run; what no run tells is left out."""
    told = [_facts(run) for run in runs]
    names = dict.fromkeys(name for facts in told for name in facts)
    rows = [(name, [facts.get(name) or _NOT_TOLD for facts in told]) for name in names]
    return [(name, values) for name, values in rows if set(values) != {_NOT_TOLD}]


def _facts(run: RunSubject) -> dict[str, str]:
    out = {"run": str(run.path)}
    if run.experiment is None:
        return out | {"producer": "an output made elsewhere: nothing is known of its making"}
    environment = run.experiment.environment
    axes = _mapping(environment.get("run"))
    out |= {
        "recipe": _text(axes.get("recipe") or run.experiment.config.get("recipe")),
        "system": run.experiment.system,
        **{name.replace("_", " "): _text(axes.get(name)) for name in ("pass", "fold", "snr_db", "seed", "trained_on")},
        "budget": _text(environment.get("budget")),
    }
    saw = _mapping(axes.get("saw"))
    out |= {"trained with": _places(saw.get("trained")), "chosen by": _places(saw.get("selected"))}
    windows = _mapping(_mapping(environment.get("windows")).get("streams"))
    out["training windows"] = ", ".join(f"{name} {n}" for name, n in windows.items())
    parameters = environment.get("parameters")
    out["parameters"] = f"{parameters:,}" if isinstance(parameters, int) else ""
    out |= {"training time": _training_time(run), "energy": _energy(run)}
    hardware = _mapping(environment.get("hardware"))
    machine = [_text(hardware.get(key)) for key in ("device", "gpu", "cpu")]
    machine += [f"{hardware['cpu_cores']} cores"] if hardware.get("cpu_cores") else []
    out["machine"] = ", ".join(dict.fromkeys(filter(None, [*machine, _text(environment.get("precision"))])))
    versions = _mapping(environment.get("versions"))
    out["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    out["commit"] = _text(environment.get("commit"))
    return out


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping of a file that others may have written; empty where it is something else."""
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _places(places: Any) -> str:
    if not isinstance(places, list):
        return ""
    return ", ".join(f"{name} (fold {fold})" if fold is not None else str(name) for name, fold in places)


def _training_time(run: RunSubject) -> str:
    last = run.history[-1] if run.history else {}
    seconds = last.get("elapsed_s")
    if not is_number(seconds):
        return ""
    hours, minutes = divmod(round(float(seconds) / 60), 60)
    said = f"{hours} h {minutes} min" if hours else f"{float(seconds):.0f} s"
    return f"{said} for {last['step']} steps"


def _energy(run: RunSubject) -> str:
    assert run.experiment is not None
    measured = {name: run.experiment.energy_kwh(name) for name in ("training", *run.files)}
    parts = [f"{name} {kwh:.4g} kWh" for name, kwh in measured.items() if kwh is not None]
    return ", ".join(parts) or "not measured"


def configurations(runs: Sequence[RunSubject]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the configuration and the post-processing of each run, as their files have them."""
    out = []
    for run in runs:
        places: dict[str, Path] = {}
        if run.experiment is not None:
            places["configuration"] = run.experiment.training / "config.yaml"
        places["post-processing"] = run.path / "postprocessing.yaml"
        out.append((run.name, [(name, read_text(path)) for name, path in places.items() if path.is_file()]))
    return out


class Difference(NamedTuple):
    """How two systems differ in a figure, as printed."""

    set: str
    figure: str
    systems: str
    first: str
    second: str
    difference: str
    interval: str
    verdict: str


def differences(systems: Sequence[SetSubject], groups: Mapping[str, str] | None = None) -> list[Difference]:
    """Return the paired differences of the first system from each of the others, on the clips that both list.

    Parameters
    ----------
    groups
        The source recording of clips, which are resampled together.

    Raises
    ------
    SedkitError
        Events that cannot be scored.
    """
    first, *others = systems
    return [row for other in others for row in _pair(first, other, groups)]


def _pair(first: SetSubject, other: SetSubject, groups: Mapping[str, str] | None) -> list[Difference]:
    clips = [name for name in first.filenames if name in {*other.filenames}]
    if first.truth is None or len(clips) < 2:
        return []
    truth = first.truth.keep_clips(clips)
    seconds = dict(zip(first.filenames, first.durations_s.tolist(), strict=True))
    whole = Truth(truth, tags_of(truth), {name: seconds[name] for name in clips})
    outputs = [Output(one.decoded, one.points).changed(lambda table: table.keep_clips(clips)) for one in (first, other)]
    metrics = ["event", "segment"] if all(output.estimate is not None for output in outputs) else []
    metrics += ["psds1", "psds2"] if all(output.points is not None for output in outputs) else []
    if not metrics:
        return []
    resamples = Resamples.of(whole, _RESAMPLES, groups)
    results = evaluate(whole, outputs[0], metrics, resamples=resamples, against=(other.system, outputs[1]))
    narrow = {metric.block: metric.narrow(resamples) for metric in all_metrics().values()}
    rows = []
    for figure, (block, place) in _FIGURES.items():
        against = (results.get(block, {}).get("against") or {}).get(place)
        if not against or against["difference"] is None:
            continue
        value = results[block]["value"] if place == "value" else results[block][place]["f1"]
        other_value = against["value"] if place == "value" else against["f1"]
        interval = against["interval"]
        rows.append(
            Difference(
                first.name,
                figure,
                f"{first.system} − {other.system}",
                f"{value:.4f}",
                f"{other_value:.4f}",
                f"{against['difference']:+.4f}",
                "none" if interval is None else f"[{interval[0]:+.4f}, {interval[1]:+.4f}]",
                # Whoever is ahead by an interval that is too narrow may not be.
                "not decided (few clips)" if narrow[block] else _verdict(interval, first.system, other.system),
            )
        )
    return rows


def _verdict(interval: Sequence[float] | None, first: str, second: str) -> str:
    """Say who is ahead, where an interval of the difference excludes 0."""
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "not decided"
    return f"{first if interval[0] > 0 else second} ahead"
