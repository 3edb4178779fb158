r"""The judges of record, sed_eval and psds_eval, run beside sedkit's own engine.

Files are read for them by the organisers' own call, ``pandas.read_csv(path, sep="\t")``, not by sedkit's reader. Empty
rows, file lists and absent classes are handled as the challenge scripts do: the clips are those of the reference, a
clip without events is an empty list, the classes are those of either table (event and segment) or of the reference
(intersection, PSDS).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.inputs import align
from sedkit.evaluation.parameters import EventParameters, IntersectionParameters, PsdsParameters, SegmentParameters

if TYPE_CHECKING:
    import pandas as pd

_NO_END_S = 1e9


def read_events(path: str | os.PathLike[str]) -> Events:
    """Read a strong table as the challenge scripts do; where it has a column `confidence`, rows above 0.5 count."""
    frame = _frame(path)
    listed_without = frame["event_label"].isna()
    if "confidence" in frame:
        listed_without |= ~(frame["confidence"] > 0.5)
    rows = zip(frame["filename"], frame["onset"], frame["offset"], frame["event_label"], listed_without, strict=True)
    return Events.from_rows(
        [
            (name, None, None, None) if empty else (name, float(on), float(off), label)
            for name, on, off, label, empty in rows
        ],
        source=str(path),
    )


def read_durations(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read durations as the challenge scripts do."""
    frame = _frame(path)
    return dict(zip(frame["filename"], frame["duration"].astype(float), strict=True))


def _frame(path: str | os.PathLike[str]) -> pd.DataFrame:
    import pandas as pd

    def read(separator: str) -> pd.DataFrame:
        # Names that look like numbers stay names; times are what the call makes of them.
        header = pd.read_csv(path, sep=separator, nrows=0).columns
        names: dict[Hashable, type[str]] = {n: str for n in header if n.strip() in ("filename", "event_label")}
        return pd.read_csv(path, sep=separator, dtype=names).rename(columns=str.strip)

    frame = read("\t")
    # No challenge script reads commas; sedkit does.
    return frame if frame.shape[1] > 1 else read(",")


@contextlib.contextmanager
def refusals_in_a_line(metric: str) -> Iterator[None]:
    """Turn what a judge raises on tables that it cannot score into a SedkitError."""
    try:
        yield
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        why = " ".join(str(error).split())
        raise SedkitError(f"--official: the judge of {metric} cannot score this input: {why}") from error


def official_event(reference: Events, estimate: Events, parameters: EventParameters | None = None) -> dict[str, Any]:
    """Run sed_eval's event-based metrics; returns macro, micro, classes: f1, precision, recall, error rates."""
    parameters = parameters or EventParameters()
    options = {
        "t_collar": float(parameters.collar_s),
        "percentage_of_length": float(parameters.offset_fraction),
        "empty_system_output_handling": "zero_score",
    }
    return _run("EventBasedMetrics", options, reference, estimate)


def official_segment(
    reference: Events, estimate: Events, parameters: SegmentParameters | None = None
) -> dict[str, Any]:
    """Run sed_eval's segment-based metrics; returns macro, micro and classes as `official_event`."""
    options = {"time_resolution": float((parameters or SegmentParameters()).segment_s)}
    return _run("SegmentBasedMetrics", options, reference, estimate)


def _run(metrics: str, options: dict[str, Any], reference: Events, estimate: Events) -> dict[str, Any]:
    labels = list(align(reference, estimate)[0].labels)
    wanted, given = _lists(reference), _lists(estimate)
    with warnings.catch_warnings():
        # pkg_resources, which dcase_util imports, announces its end; means over classes that are all undefined.
        warnings.simplefilter("ignore")
        import sed_eval

        judge = getattr(sed_eval.sound_event, metrics)(event_label_list=labels, **options)
        for name in reference.filenames:
            judge.evaluate(
                reference_event_list=wanted.get(name) or [{"filename": name}],
                estimated_event_list=given.get(name) or [{"filename": name}],
            )
        macro = _block(judge.results_class_wise_average_metrics()) if labels else {}
        micro = _block(judge.results_overall_metrics())
        classes = {label: _block(block) for label, block in judge.results_class_wise_metrics().items()}
    return {"macro": macro, "micro": micro, "classes": classes}


def _block(result: Mapping[str, Any]) -> dict[str, float]:
    measure, error = result["f_measure"], result["error_rate"]
    return {"f1": measure["f_measure"], "precision": measure["precision"], "recall": measure["recall"], **error}


def _lists(events: Events) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for c, k, on, off in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        name = events.filenames[c]
        out.setdefault(name, []).append(
            {"filename": name, "onset": float(on), "offset": float(off), "event_label": events.labels[k]}
        )
    return out


def table(events: Events) -> pd.DataFrame:
    """Return events as the DataFrame that psds_eval takes, rows in file order, clips without events left out."""
    import pandas as pd

    return pd.DataFrame(
        {
            "filename": np.array(events.filenames, dtype=object)[events.clip],
            "onset": events.onset_s,
            "offset": events.offset_s,
            "event_label": np.array(events.labels, dtype=object)[events.label],
        }
    )


def psds_judge(reference: Events, durations: Mapping[str, float], dtc: float, gtc: float, cttc: float | None) -> Any:
    """Return psds_eval's PSDSEval on a reference; it takes tables as `table` makes them."""
    import pandas as pd
    import psds_eval

    return psds_eval.PSDSEval(
        dtc_threshold=dtc,
        gtc_threshold=gtc,
        cttc_threshold=0.3 if cttc is None else cttc,
        ground_truth=table(reference),
        metadata=pd.DataFrame({"filename": list(durations), "duration": list(durations.values())}),
    )


def official_intersection(
    reference: Events,
    estimate: Events,
    parameters: IntersectionParameters | None = None,
    durations: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Run psds_eval's macro F1; returns macro and classes with f1."""
    parameters = parameters or IntersectionParameters()
    if durations is None:
        durations = dict.fromkeys(reference.filenames, _NO_END_S)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge = psds_judge(reference, durations, parameters.dtc, parameters.gtc, parameters.cttc)
        macro, classes = judge.compute_macro_f_score(table(estimate))
    return {"macro": {"f1": float(macro)}, "classes": {label: {"f1": float(f)} for label, f in classes.items()}}


def official_psds(
    reference: Events, points: Sequence[Events], durations: Mapping[str, float], parameters: PsdsParameters
) -> float:
    """Run psds_eval's PSDS over operating points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge = psds_judge(reference, durations, parameters.dtc, parameters.gtc, parameters.cttc)
        for point in points:
            judge.add_operating_point(table(point))
        return float(judge.psds(parameters.alpha_ct, parameters.alpha_st, parameters.max_efpr).value)


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str, tolerance: float = 1e-9) -> list[str]:
    """List where two blocks of figures, as in the results file, differ by more than a tolerance (a part, above 1)."""
    out = []
    for key, value in theirs.items():
        mine = ours.get(key)
        if isinstance(value, Mapping):
            out += differences(mine or {}, value, f"{where}.{key}", tolerance)
        elif (mine is None) != (not np.isfinite(value)):
            out.append(f"{where}.{key}: {mine} against {value}")
        elif mine is not None and abs(mine - value) > tolerance * max(1.0, abs(value)):
            out.append(f"{where}.{key}: {mine!r} against {value!r}")
    return out
