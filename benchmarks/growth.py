"""How cost grows: features, mixtures, prediction and scoring of 1, 4 and 16 times as many clips.

Each size of each work is a process of its own, timed without its start. Time is to be linear: a sixteenth of 16x takes
what 1x takes. Memory is the most that the process had; a features file that is mapped for prediction is not counted,
since the system takes its pages back as it likes. What follows for the full DESED, and for as many mixtures as anyone
makes, is said. The results agree where all sizes make the same of the first clips, and have the same figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._growing import INPUTS
from benchmarks._measure import Comparisons, Form, Report
from sedkit.core.errors import SedkitError

RUNS = 2
TIMES = (1, 4, 16)
COMPARISONS: Comparisons = {
    "growth": ("all, a sixteenth of 16x", "all, 1x", 0.9),
    "growth.features": ("features, a sixteenth of 16x", "features, 1x", 0.9),
    "growth.mixing": ("mixing, a sixteenth of 16x", "mixing, 1x", 0.9),
    "growth.prediction": ("prediction, a sixteenth of 16x", "prediction, 1x", 0.9),
    "growth.scoring": ("scoring, a sixteenth of 16x", "scoring, 1x", 0.9),
}
#: Clips of 1x, in the short form and in the long one.
UNITS = {"features": (4, 64), "mixing": (4, 40), "prediction": (4, 64), "scoring": (10, 300)}
#: Clips of the full DESED, training and validation, and mixtures of a large set.
FULL = dict.fromkeys(UNITS, 18035 + 1168) | {"mixing": 100_000}


def measured(work: str, folder: Path, clips: int, unit: int, threads: int) -> dict[str, Any]:
    """Do a work in a process of its own; return its seconds, MiB and what it made."""
    call = [sys.executable, "-m", "benchmarks._growing", work, folder, clips, unit, threads]
    done = subprocess.run([*map(str, call)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SedkitError(f"{work} of {clips} clips ended with status {done.returncode}, as said above")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def grown(work: str, form: Form) -> tuple[np.ndarray, np.ndarray, bool]:
    """Measure a work at each size.

    Returns
    -------
    (runs, sizes) seconds of 1x's work, (runs, sizes) MiB, and whether all sizes make the same.
    """
    unit = UNITS[work][not form.quick]
    with tempfile.TemporaryDirectory() as name:
        folder, sizes = Path(name), [unit * times for times in TIMES]
        runs = 1 if form.quick else form.runs
        INPUTS[work](folder, sizes, unit)
        done = [[measured(work, folder, clips, unit, form.threads) for clips in sizes] for _ in range(runs)]
    seconds, mib = (np.array([[one[key] for one in run] for run in done]) for key in ("seconds", "mib"))
    return seconds / TIMES, mib, len({one["digest"] for run in done for one in run}) == 1


def run(form: Form) -> Report:
    """Measure each work at each size."""
    seconds: dict[str, np.ndarray] = {}
    equal: dict[str, bool] = {}
    notes = []
    for work, units in UNITS.items():
        times, mib, equal[f"growth.{work}"] = grown(work, form)
        for column, size in enumerate(("1x", "a quarter of 4x", "a sixteenth of 16x")):
            seconds[f"{work}, {size}"] = times[:, column]
        unit, peak = units[not form.quick], np.median(mib, axis=0)
        # From the smallest size on, buffers and caches fill that then stay as they are.
        each = max(0.0, float(peak[-1] - peak[-2]) / (unit * (TIMES[-1] - TIMES[-2])))
        at_full = peak[-1] + each * (FULL[work] - unit * TIMES[-1])
        notes.append(
            f"{work}: {', '.join(str(unit * k) for k in TIMES)} clips: at most {', '.join(f'{m:.0f}' for m in peak)} "
            f"MiB; {1024 * each:.1f} KiB a clip more, so {at_full:.0f} MiB of {FULL[work]:,}, in about "
            f"{FULL[work] * np.median(times[:, -1]) / unit:.0f} s on {form.threads} threads"
        )
    for size in ("1x", "a sixteenth of 16x"):
        seconds[f"all, {size}"] = np.sum([seconds[f"{work}, {size}"] for work in UNITS], axis=0)
    return Report(
        title=f"{', '.join(map(str, TIMES))} times as many clips, {form.threads} threads; seconds for the clips of 1x",
        seconds=seconds,
        equal={"growth": all(equal.values()), **equal},
        notes=tuple(notes),
    )
