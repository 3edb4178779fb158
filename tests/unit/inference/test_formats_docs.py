"""The tables of docs/formats.md name what is in the files."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from fake_data import FRONTEND, LABELS

from sedkit.dataio.scores import Scores
from sedkit.dataio.store import SCALES, write_scores
from sedkit.features.frontends import frontend_from


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    text = (Path(__file__).parents[3] / "docs/formats.md").read_text(encoding="utf-8")
    return {part.split("\n")[0]: part for part in text.split("\n## ")}


def first_column(section: str) -> set[str]:
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", section, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_features(sections: dict[str, str], data_root: Path) -> None:
    frontend = frontend_from(FRONTEND)
    with h5py.File(data_root / "weak" / f"{frontend.name}-{frontend.hash8}.h5") as file:
        assert set(file) == first_column(sections["Features"])
        named = sections["Features"].split("Attributes: ")[1]
        assert set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", named))) == set(file.attrs)
        assert file["features"].dtype == np.float32 and file["features"].chunks is None
        assert set(re.findall(r"`(\w+)`", re.findall(r"`scale` \(([^)]*)\)", named)[0])) == set(SCALES)


def test_scores(sections: dict[str, str], tmp_path: Path) -> None:
    scores = Scores(
        framewise=np.zeros((1, 4, 3), np.float32),
        n_frames=np.array([4]),
        duration_s=np.array([1.0]),
        frame_edges_s=np.arange(5) / 4,
        filenames=("a.wav",),
        labels=LABELS,
        clipwise=np.zeros((1, 3), np.float32),
        producer="me",
    )
    write_scores(tmp_path / "scores.h5", scores)
    with h5py.File(tmp_path / "scores.h5") as file:
        assert set(file) == first_column(sections["Scores"])
        assert "producer" in file.attrs


def test_data_dirs(sections: dict[str, str], data_root: Path) -> None:
    named = first_column(sections["Data dirs"])
    made = {path.name for path in (data_root / "synthetic").iterdir() if path.suffix != ".h5"}
    assert made <= named
    header = (data_root / "synthetic" / "clips.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
    row = next(line for line in sections["Data dirs"].splitlines() if line.startswith("| `clips.tsv`"))
    assert [name for name in header if f"`{name}`" not in row] == []
