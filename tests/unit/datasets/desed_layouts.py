"""Hand-made data sets in official layouts: short clips, every irregularity on demand."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sedkit.cli import prepare as verb
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import DataDir

RATE = 8000
STRONG = "filename|onset|offset|event_label"
LABELS = ("Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog", "Frying", "Speech")


def clip(path: Path, seconds: float = 0.5, rate: int = RATE, channels: int = 1) -> Path:
    """Write noise that is different for every path."""
    rng = np.random.default_rng(list(str(path).encode()))
    x = 0.1 * rng.standard_normal((int(seconds * rate), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, x[:, 0] if channels == 1 else x, rate)
    return path


def table(path: Path, *rows: str) -> Path:
    """Write rows whose cells are separated by `|` as a TAB-separated table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row.replace("|", "\t") + "\n" for row in rows), encoding="utf-8")
    return path


def video(i: int, side: str = "t") -> str:
    """Name of a development clip with an id of its own."""
    return f"Y{side}{i:010d}_{10 * i}.000_{10 * i + 10}.000.wav"


def desed_2019(root: Path, weak: int = 12, synthetic: int = 4, unlabelled: int = 2, validation: int = 4) -> Path:
    """A small DESED of 2019 in which nothing is wrong."""
    audio, meta = root / "audio", root / "metadata"
    for i in range(weak):
        clip(audio / "train/weak" / video(i))
    for i in range(synthetic):
        clip(audio / "train/synthetic" / f"{i}.wav")
    for i in range(unlabelled):
        clip(audio / "train/unlabel_in_domain" / video(i, "u"))
    for i in range(validation):
        clip(audio / "validation" / video(i, "v"))
    table(
        meta / "train/weak.tsv",
        "filename|event_labels",
        *(f"{video(i)}|{LABELS[i % 7]},{LABELS[(i + 1) % 7]}" for i in range(weak)),
    )
    strong = "filename|onset|offset|event_label"
    table(meta / "train/synthetic.tsv", strong, *(f"{i}.wav|0.1|0.4|{LABELS[i % 7]}" for i in range(synthetic)))
    table(meta / "train/unlabel_in_domain.tsv", "filename", *(video(i, "u") for i in range(unlabelled)))
    table(
        meta / "validation/validation.tsv",
        strong,
        *(f"{video(i, 'v')}|0.000|0.300|{LABELS[i % 7]}" for i in range(validation - 1)),
        f"{video(validation - 1, 'v')}|||",
    )
    return root


def run_prepare(name: str, root: Path, out: Path, **options: object) -> int:
    """Call the verb as the command line does."""
    words = [name, str(root), str(out), "--jobs", "1"]
    for key, value in options.items():
        words += [f"--{key.replace('_', '-')}", str(value).lower() if isinstance(value, bool) else str(value)]
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(words)) or 0


def open_sets(out: Path) -> dict[str, DataDir]:
    """The data dirs below a folder, by name."""
    return {path.parent.name: DataDir(path.parent) for path in sorted(out.glob("*/clips.tsv"))}


def prepare_sets(root: Path, out: Path, **options: object) -> dict[str, DataDir]:
    """Prepare DESED, which has to succeed, and return its data dirs."""
    assert run_prepare("desed", root, out, **options) == 0
    return open_sets(out)
