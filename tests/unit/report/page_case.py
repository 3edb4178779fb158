"""A run on five clips whose figures are counted by hand, as an experiment's folder and a data dir."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from sedkit.cli.main import main
from sedkit.core.files import write_text, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores
from sedkit.dataio.tables import write_events

LABELS = ("Alarm", "Cat", "Dog")
RATE, SECONDS = 8000, 4.0
CLIPS = ("a.wav", "b.wav", "c.wav", "d.wav", "e.wav")
#: Clip, onset, offset, class. In a: found. In b: Cat is found, Dog is not. In c: missed. In d, e: nothing.
TRUE = [
    (0, 1.0, 2.0, 2),
    (1, 0.5, 1.5, 1),
    (1, 2.0, 3.0, 2),
    (2, 1.0, 2.0, 0),
]
DECODED = [
    (0, 1.05, 2.0, 2),
    (1, 0.5, 1.5, 1),
    (1, 0.0, 1.0, 2),
    (3, 1.0, 2.0, 1),
    (3, 2.5, 3.0, 1),
]
#: Events of either side by clip: true, decoded, right.
TALLIES = [(1, 1, 1), (2, 2, 1), (1, 0, 0), (0, 2, 0), (0, 0, 0)]
#: Clips in the orders of the page, by hand: F1 of a to e is 1, 1/2, 0, 0 and undefined.
BY_F1, BY_FALSE, BY_MISSED = "dcbae", "dbcae", "bcdae"
FRAMES = 80

Rows = Sequence[tuple[int, float, float, int]]


def make_data(
    folder: Path,
    clips: Sequence[str] = CLIPS,
    labels: Sequence[str] = LABELS,
    true: Rows = TRUE,
    seconds: float = SECONDS,
) -> Path:
    """A data dir; every clip is the same tone of 1 kHz, which begins in the middle."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(RATE * seconds)) / RATE
    tone = np.where(t >= seconds / 2, 0.3 * np.sin(2 * np.pi * 1000 * t), 0.001 * np.sin(2 * np.pi * 50 * t))
    soundfile.write(folder.parent / "tone.wav", tone, RATE, subtype="PCM_16")
    table = Clips(tuple(clips), ("../tone.wav",) * len(clips), np.full(len(clips), seconds))
    strong = Events.from_rows([(clips[i], on, off, labels[k]) for i, on, off, k in true], labels)
    write_datadir(folder, table, Vocabulary(tuple(labels)), strong=strong.keep_clips(clips))
    return folder


def make_run(
    folder: Path,
    data: Path,
    clips: Sequence[str] = CLIPS,
    labels: Sequence[str] = LABELS,
    decoded: Rows = DECODED,
    scored: bool = True,
) -> Path:
    """An experiment's folder with scores that are high where events are decoded, events, results and records."""
    name = data.name
    framewise = np.full((len(clips), FRAMES, len(labels)), 0.05, dtype=np.float32)
    edges_s = np.linspace(0.0, SECONDS, FRAMES + 1)
    for i, on, off, k in decoded:
        framewise[i, (edges_s[:-1] >= on - 1e-9) & (edges_s[1:] <= off + 1e-9), k] = 0.9
    for part in ("scores", "events", "results"):
        (folder / part).mkdir(parents=True)
    n = len(clips)
    scores = Scores(
        framewise, np.full(n, FRAMES), np.full(n, SECONDS), edges_s, tuple(clips), tuple(labels), framewise.max(axis=1)
    )
    write_scores(folder / "scores" / f"{name}.h5", scores)
    events = Events.from_rows([(clips[i], on, off, labels[k]) for i, on, off, k in decoded], labels)
    write_events(folder / "events" / f"{name}.tsv", events.keep_clips(clips))
    write_yaml(folder / "config.yaml", {"system": folder.parent.name, "recipe": "a_recipe"})
    records = [
        {
            "step": step,
            "train": {"loss": 1.0 / step},
            "select": {"network": {"weak": {"loss": 2.0 / step, "clip_map": 0.1 * step}}},
            "elapsed_s": 10.0 * step,
        }
        for step in (1, 2, 3)
    ]
    write_text(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    if scored:
        call = ["score", "--reference", f"{data}/strong.tsv", "--estimate", f"{folder}/events/{name}.tsv"]
        call += [
            "--durations",
            f"{data}/clips.tsv",
            "--metrics",
            "event,segment",
            "--bootstrap",
            "100",
            "--baselines",
            "true",
        ]
        assert main([*call, "--json", f"{folder}/results/{name}.json"]) == 0
    return folder
