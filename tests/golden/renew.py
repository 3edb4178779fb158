"""Golden numbers of the first recipe: measured here, kept in dcase2019_task4.json, compared by tests/recipes.

    python -m tests.golden.renew

measures all of them again (ten short trainings, some minutes), writes the file and prints what changed; a change has
to be explained in the commit that brings it. Everything is fp32 on one thread. Integers are exact. Features hold to
1e-4 dB for cells less than 60 dB below the clip's maximum and to 0.1 dB elsewhere. Trained figures hold to a band of
`BAND_SD` sample deviations around the mean of ten seeds.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.config import read_config
from sedkit.core.files import read_json, write_json
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import tags_of
from sedkit.dataio.store import FeatureFile
from tests.recipes._runs import CONF, REDUCED, Place

PATH = Path(__file__).with_name("dcase2019_task4.json")
SEEDS = tuple(range(10))
BAND_SD = 3.0
LOUD_DB, LOUD_TOLERANCE_DB, TOLERANCE_DB = 60.0, 1e-4, 0.1


def tables(data: Path) -> dict[str, Any]:
    """Count what stands in the tables of each set; durations in milliseconds, so that they are integers."""
    out = {}
    for folder in sorted(path.parent for path in data.glob("*/clips.tsv")):
        found = DataDir(folder)
        clips = found.clips
        row: dict[str, Any] = {"clips": len(clips), "milliseconds": round(1000 * float(clips.duration_s.sum()))}
        if clips.fold:
            row["folds"] = {fold: clips.fold.count(fold) for fold in sorted(set(clips.fold))}
        if found.has_strong:
            events = found.strong()
            row["events"] = {label: int((events.label == c).sum()) for c, label in enumerate(events.labels)}
            row["milliseconds_of_events"] = round(1000 * float((events.offset_s - events.onset_s).sum()))
        if found.has_strong or found.has_weak:
            tags = found.weak() if found.has_weak else tags_of(found.strong())
            row["tagged_clips"] = dict(zip(tags.labels, tags.present.sum(axis=0).tolist(), strict=True))
        out[folder.name] = row
    return out


def frames(data: Path) -> dict[str, Any]:
    """Shapes of the features files, and their real frames."""
    files = {path.parent.name: FeatureFile(path) for path in sorted(data.glob("*/logmel-*.h5"))}
    return {name: {"shape": list(file.shape), "real": int(file.n_frames.sum())} for name, file in files.items()}


def networks() -> dict[str, dict[str, int]]:
    """Parameters and output frames of each system's network, at its full width."""
    from sedkit.features.frontends import frontend_from
    from sedkit.models.registry import build_model

    out = {}
    for path in sorted(CONF.parent.glob("*.yaml")):
        config = read_config(path, [])
        if "system" not in config:
            continue
        frontend = frontend_from(config["frontend"])
        network = build_model(config["model"], 10, frontend.n_bins)
        parameters = sum(p.numel() for p in network.parameters())
        frames = frontend.frames_for(10.0) // network.time_pooling
        out[path.stem] = {"parameters": parameters, "output_frames": frames}
    return out


def signal() -> np.ndarray:
    """A sweep and noise that fade away at 10 dB a second: cells on both sides of `LOUD_DB`."""
    t = np.arange(320000) / 32000
    noise = np.random.default_rng(0).integers(-1000, 1001, t.size) / 1000
    x = (np.sin(2 * np.pi * (60 * t + 600 * t**2)) + 0.3 * noise) * 10 ** (-t / 2)
    return (0.7 * x).astype(np.float32)[None]


def features(data: Path) -> dict[str, Any]:
    """Cells of the features of `signal`, dB, and mean and deviation of each set's real frames in bands of 16 bins."""
    from sedkit.features.frontends import frontend_from

    cells = frontend_from(read_config(CONF, [])["frontend"]).transform(signal())[0]
    sets = {}
    for path in sorted(data.glob("*/logmel-*.h5")):
        file = FeatureFile(path)
        real = np.concatenate([x[:n] for x, n in zip(file.features, file.n_frames, strict=True)]).astype(np.float64)
        bands = real.reshape(len(real), 4, 16)
        sets[path.parent.name] = {
            "mean_db": bands.mean(axis=(0, 2)).round(6).tolist(),
            "sd_db": bands.std(axis=(0, 2)).round(6).tolist(),
        }
    return {
        "signal": {"maximum_db": float(cells.max()), "cells_db": cells[::40, ::4].astype(np.float64).round(6).tolist()},
        "sets": sets,
    }


def trained(experiment: Path) -> dict[str, float]:
    """Figures of one finished run on the validation set."""
    results = read_json(experiment / "results" / "validation.json")
    last = json.loads((experiment / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {
        "training_loss": last["train"]["loss"],
        "tagging_map": results["tagging"]["macro"]["average_precision"],
        "tagging_auc": results["tagging"]["macro"]["roc_auc"],
        "segment_f1": results["segment_based"]["macro"]["f1"],
    }


def band(values: list[float]) -> dict[str, Any]:
    """Mean, sample deviation and the band around them."""
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    return {
        "values": [round(v, 6) for v in values],
        "mean": round(mean, 6),
        "sd": round(sd, 6),
        "low": round(mean - BAND_SD * sd, 6),
        "high": round(mean + BAND_SD * sd, 6),
    }


def measure(place: Place) -> dict[str, Any]:
    """Run the recipe with every seed and measure everything."""
    place.runme("--seeds=" + ",".join(map(str, SEEDS)), "--stop-stage=7", "--parallel=2")
    runs = [trained(place.exp / "cnn9_weak" / f"seed{seed}") for seed in SEEDS]
    return {
        "about": "python -m tests.golden.renew; fp32, one thread; see the script for the tolerances",
        "tables": tables(place.data),
        "frames": frames(place.data),
        "networks": networks(),
        "features": features(place.data),
        "trained": {
            "system": "cnn9_weak",
            "overrides": list(REDUCED),
            "seeds": list(SEEDS),
            "band": f"mean of the seeds, plus and minus {BAND_SD:g} sample deviations",
            "figures": {name: band([run[name] for run in runs]) for name in runs[0]},
        },
    }


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested numbers by their path."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)  # type: ignore[assignment]
    else:
        return {name: value}
    return {k: v for key, part in parts for k, v in flat(part, f"{name}.{key}" if name else str(key)).items()}


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each number that is not what it was."""
    a, b = flat(old), flat(new)
    return [f"{k}: {a.get(k, 'absent')} -> {b.get(k, 'gone')}" for k in {**a, **b} if a.get(k) != b.get(k)]


def main() -> int:
    """Measure, write, say what changed."""
    old = read_json(PATH) if PATH.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        new = measure(Place(Path(folder)))
    write_json(PATH, new)
    found = changes(old, new)
    print("\n".join(found) if old else f"{PATH}: {len(found)} numbers, new")
    if not found:
        print(f"{PATH}: nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
