"""Energy in kWh of a stage, by CodeCarbon's offline tracker (extra `[energy]`); absent says absent, never zero."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError
from sedkit.core.files import write_json
from sedkit.core.log import log

#: End of the name of CodeCarbon's own table, which the challenge asks for beside the figures.
TABLE_SUFFIX = ".codecarbon.csv"


@dataclass
class Meter:
    """Stands for a measurement while its block runs."""

    reasons: list[str] = field(default_factory=list)

    def discard(self, reason: str) -> None:
        """Leave the figure out: it would not be that of the whole stage."""
        self.reasons.append(reason)


def track_energy(path: str | os.PathLike[str], asked: bool = True) -> AbstractContextManager[Meter]:
    """Return a context that measures the energy that its block uses and writes it to `path`.

    Parameters
    ----------
    path
        JSON file: ``kwh``, ``seconds``, ``tracker`` (name and version), ``mode`` (what was metered), ``parts_kwh``,
        ``hardware``; CodeCarbon's own table stands beside it. By convention ``EXP/energy/training.json`` and
        ``EXP/energy/<set>.json`` for the prediction of a set.
    asked
        Whether energy was asked for. Otherwise nothing is measured, and the figure of an earlier run is removed when
        the block begins, for it would be taken for this one's.

    Raises
    ------
    SedkitError
        Asked for without CodeCarbon: at the call, before the block could begin.

    Notes
    -----
    Nothing is written where the block ends with an error, discards the figure, or the tracker saw no energy.
    """
    return _tracking(Path(path), _tracker_class() if asked else None)


@contextlib.contextmanager
def _tracking(target: Path, tracker_class: Any) -> Iterator[Meter]:
    table = target.with_name(target.stem + TABLE_SUFFIX)
    target.unlink(missing_ok=True)
    table.unlink(missing_ok=True)
    meter = Meter()
    if tracker_class is None:
        yield meter
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The country only turns kWh into CO2, which is not used here; offline mode needs one.
    tracker = tracker_class(
        country_iso_code="FRA",
        output_dir=str(table.parent),
        output_file=table.name,
        log_level="error",
        tracking_mode="machine",
    )
    started = time.monotonic()
    tracker.start()
    done = False
    try:
        yield meter
        done = True
    finally:
        tracker.stop()
        data = getattr(tracker, "final_emissions_data", None)
        kwh = float(getattr(data, "energy_consumed", None) or 0.0)
        if kwh <= 0:
            meter.discard("the tracker saw no consumption")
        if done and not meter.reasons:
            write_json(target, _record(data, kwh, time.monotonic() - started))
        else:
            table.unlink(missing_ok=True)
        if done and meter.reasons:
            log.warning("%s: energy stays absent: %s", target, "; ".join(meter.reasons))


def say_unmeasured(path: str | os.PathLike[str], asked: bool) -> None:
    """Say that energy was asked of a stage that is up to date and was not measured when it ran."""
    if asked and not Path(path).is_file():
        log.warning("%s: energy stays absent: nothing was done that could be measured (--force true does it)", path)


def _tracker_class() -> Any:
    try:
        codecarbon = importlib.import_module("codecarbon")
    except ImportError:
        raise SedkitError(
            "--energy true needs codecarbon, which is not installed: `pip install -e '.[energy]'` in the clone, or "
            "leave it out"
        ) from None
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    return codecarbon.OfflineEmissionsTracker


def _record(data: Any, kwh: float, seconds: float) -> dict[str, Any]:
    hardware = ("cpu_model", "cpu_count", "gpu_model", "gpu_count", "ram_total_size")
    return {
        "kwh": kwh,
        "seconds": round(seconds, 1),
        "tracker": f"codecarbon {getattr(data, 'codecarbon_version', 'unknown')}",
        "mode": "machine",
        "parts_kwh": {
            component: float(value)
            for component in ("cpu", "gpu", "ram")
            if isinstance(value := getattr(data, f"{component}_energy", None), int | float)
        },
        "hardware": {name: getattr(data, name, None) for name in hardware},
    }
