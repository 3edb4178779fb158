"""Files of a small scoring, and a way to call `sedkit score` on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sedkit.cli.main import main
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores

REFERENCE = """filename\tonset\toffset\tevent_label
a.wav\t0.000\t2.000\tDog
a.wav\t3.000\t5.000\tCat
b.wav\t1.000\t4.000\tDog
c.wav\t\t\t
d.wav\t2.000\t3.000\tCat
"""
ESTIMATE = """filename\tonset\toffset\tevent_label
a.wav\t0.100\t2.100\tDog
a.wav\t3.000\t5.000\tDog
b.wav\t1.000\t4.000\tDog
c.wav\t0.000\t1.000\tCat
d.wav\t2.100\t3.050\tCat
"""


class Case:
    """Files of a small scoring, and a way to call `sedkit score` on them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.put("ref.tsv", REFERENCE)
        self.put("est.tsv", ESTIMATE)
        self.put("dur.tsv", "filename\tduration\n" + "".join(f"{n}.wav\t100.0\n" for n in "abcd"))
        lines = ESTIMATE.splitlines(keepends=True)
        for threshold, rows in (("0.10", lines), ("0.50", lines[:4]), ("0.90", lines[:2])):
            self.put(f"points/th_{threshold}.tsv", "".join(rows))
        framewise = np.zeros((4, 50, 2), np.float32)
        framewise[0, :20, 1], framewise[0, 30:50, 0] = 0.9, 0.6
        framewise[1, 10:40, 1], framewise[3, 20:30, 0], framewise[2, 5:9, 1] = 0.8, 0.7, 0.3
        write_scores(
            folder / "scores.h5",
            Scores(
                framewise=framewise,
                n_frames=np.full(4, 50),
                duration_s=np.full(4, 5.0),
                frame_edges_s=np.arange(51) * 0.1,
                filenames=("a.wav", "b.wav", "c.wav", "d.wav"),
                labels=("Cat", "Dog"),
                clipwise=framewise.max(axis=1),
            ),
        )

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def call(self, *words: str, reference: str = "ref.tsv") -> tuple[int, str, str]:
        inside = [str(self.folder / w[1:]) if w.startswith("@") else w for w in words]
        status = main(["score", "--reference", str(self.folder / reference), *inside])
        out, err = self.capsys.readouterr()
        return status, out, err

    def results(self, *words: str, reference: str = "ref.tsv") -> dict:
        status, _, err = self.call(*words, "--json", "@out.json", reference=reference)
        assert status == 0, err
        return json.loads((self.folder / "out.json").read_text())


EST = ("--estimate", "@est.tsv")
POINTS = ("--operating-points", "@points")
DUR = ("--durations", "@dur.tsv")
SCORES = ("--scores", "@scores.h5")
