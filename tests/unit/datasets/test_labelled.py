"""One's own recordings with labels beside them: a correction made by ear becomes data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from desed_layouts import clip, open_sets

from sedkit.cli.main import main
from sedkit.dataio.store import FeatureFile
from sedkit.datasets.registry import DATASETS

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"


def prepare(root: Path, out: Path, *words: str) -> int:
    return main(["prepare", "labelled", str(root), str(out), "--jobs", "1", *words])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four labelled recordings in two folders, one of them without an event, and one that nobody has labelled."""
    root = tmp_path / "yard"
    for name in ("a.wav", "b.flac", "site/a.wav", "site/quiet.wav", "site/new.wav"):
        clip(root / name) if name.endswith("wav") else shutil.copy(clip(root / "x.wav"), root / name)
    (root / "x.wav").unlink()
    (root / "a.txt").write_text("0.1\t0.25\tfrog\n0.3\t0.4\tcar\n")
    (root / "b.Table.1.selections.txt").write_text(RAVEN + "1\tSpectrogram 1\t1\t0.2\t0.45\t0\t4000\tfrog\n")
    (root / "site/a.txt").write_text("0\t0.5\tcar\n")
    (root / "site/quiet.txt").write_text("")
    return root


def test_labels_beside_recordings_are_a_data_dir(root: Path, out: Path, capsys) -> None:
    assert prepare(root, out) == 0
    said = capsys.readouterr()
    assert said.out == "labelled: 4/4 clips\n"
    assert "1 recordings have no labels and are left out (site/new.wav)" in said.err
    (data,) = open_sets(out).values()
    assert (data.role, data.identity) == ("training", "labelled/labelled")
    assert data.labels.labels == ("car", "frog")
    events = data.strong()
    assert sorted(row for row in events.rows()) == [
        ("a.wav", 0.1, 0.25, "frog"),
        ("a.wav", 0.3, 0.4, "car"),
        ("b.flac", 0.2, 0.45, "frog"),
        ("site/a.wav", 0.0, 0.5, "car"),
        ("site/quiet.wav", None, None, None),
    ]
    assert dict(zip(data.clips.filename, data.weak().present.tolist(), strict=True)) == {
        "a.wav": [True, True],
        "b.flac": [False, True],
        "site/a.wav": [True, False],
        "site/quiet.wav": [False, False],
    }
    assert [Path(p).resolve() for p in data.recordings().values()] == [root / name for name in data.clips.filename]
    # A correction is seen by the next call.
    (root / "a.txt").write_text("0.1\t0.2\tfrog\n")
    assert prepare(root, out) == 0
    (data,) = open_sets(out).values()
    assert data.strong().keep_clips(["a.wav"]).offset_s.tolist() == [0.2]


def test_the_data_dir_is_extracted_and_scored(root: Path, out: Path, tmp_path: Path) -> None:
    assert prepare(root, out, "--role", "reported") == 0
    config = tmp_path / "conf.yaml"
    config.write_text("frontend: {name: logmel, sample_rate: 16000, n_mels: 8, fmax_hz: null, clip_s: null}\n")
    features = out / "labelled/features.h5"
    assert main(["extract", str(out / "labelled"), "--config", str(config), "--out", str(features)]) == 0
    assert FeatureFile(features).filenames == ("a.wav", "b.flac", "site/a.wav", "site/quiet.wav")
    words = ["--reference", str(out / "labelled/strong.tsv"), "--estimate", str(root), "--metrics", "event"]
    assert main(["score", *words, "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["event_based"]["micro"]["f1"] == 1.0


def test_roles_and_class_order(root: Path, out: Path) -> None:
    (root / "labels.txt").write_text("frog\nbird\ncar\n")
    for role in ("tuning", "reported"):
        assert prepare(root, out / role, "--role", role) == 0
        (data,) = open_sets(out / role).values()
        assert data.role == role and data.labels.labels == ("frog", "bird", "car")
        assert (data.clips.fold is None) == (role == "reported")
    np.testing.assert_array_equal(data.weak().present.sum(axis=0), [2, 0, 2])


def test_what_cannot_be_right_is_told(root: Path, out: Path, capsys) -> None:
    assert "labelled" in DATASETS.names()
    (root / "labels.txt").write_text("frog\ncat\n")
    assert prepare(root, out) == 1
    said = capsys.readouterr().err
    assert "a.txt:2: unknown label 'car'" in said and "--lenient true" in said
    (root / "labels.txt").unlink()
    (root / "a.txt").write_text("0.1\tsoon\tfrog\n")
    assert prepare(root, out) == 1
    assert "a.txt:1: onset '0.1', offset 'soon', expected seconds as numbers" in capsys.readouterr().err
    (root / "a.txt").write_text("filename\tonset\toffset\tevent_label\nb.flac\t0.1\t0.2\tfrog\n")
    assert prepare(root, out) == 1
    assert "a.txt: events of b.flac, expected those of a.wav, beside which it lies" in capsys.readouterr().err
    (root / "a.txt").write_text("0.1\t0.2\tfrog\n")
    shutil.copy(root / "a.wav", root / "a.flac")
    assert prepare(root, out) == 1
    assert "a.flac, a.wav would share their labels" in capsys.readouterr().err
    empty = out.parent / "empty"
    clip(empty / "a.wav")
    assert prepare(empty, out) == 1
    assert "holds no table of events" in capsys.readouterr().err
