"""Ensembles of scores, in memory and from the command line."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from slow_decoder import make_scores

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import sha256_file
from sedkit.dataio.score_tsvs import write_score_tsvs
from sedkit.dataio.scores import Part
from sedkit.dataio.store import read_scores, write_scores
from sedkit.postprocessing.fuse import fuse


def part(seed, **kwargs):
    rng = np.random.default_rng(seed)
    return make_scores(rng.random((3, 5, 2)), clipwise=rng.random((3, 2)), rate_hz=8.0, **kwargs)


def test_the_mean_and_the_weighted_mean():
    a, b = part(0), part(1)
    mean = fuse([a, b])
    np.testing.assert_allclose(mean.framewise, (a.framewise + b.framewise) / 2, rtol=1e-6)
    np.testing.assert_allclose(mean.clipwise, (a.clipwise + b.clipwise) / 2, rtol=1e-6)
    weighted = fuse([a, b], weights=[3, 1])
    np.testing.assert_allclose(weighted.framewise, 0.75 * a.framewise + 0.25 * b.framewise, rtol=1e-6)
    assert weighted.producer == "ensemble of 2: 0.75 x test + 0.25 x test"


def test_what_was_fused_is_written_as_data(tmp_path):
    parts = [replace(part(k), producer=f"net{k}.h5, by hand + others") for k in range(3)]
    pair = fuse(parts[:2], weights=[3, 1])
    made = fuse([pair, parts[2]])
    write_scores(tmp_path / "fused.h5", made)
    read = read_scores(tmp_path / "fused.h5")
    assert read.parts == made.parts
    members = (Part(parts[0].producer, 0.75), Part(parts[1].producer, 0.25))
    assert read.parts == (Part(pair.producer, 0.5, members), Part(parts[2].producer, 0.5))
    with h5py.File(tmp_path / "fused.h5", "a") as file:
        file.attrs["parts"] = '[{"producer": "a"}]'
    with pytest.raises(SedkitError, match=r"fused.h5: the attribute parts is .*expected what `sedkit fuse` writes"):
        read_scores(tmp_path / "fused.h5")


def test_clips_and_classes_are_brought_into_the_first_ones_order():
    a, b = part(0), part(1)
    rows, columns = [2, 0, 1], [1, 0]
    shuffled = replace(
        b,
        framewise=b.framewise[rows][:, :, columns],
        clipwise=b.clipwise[np.ix_(rows, columns)],
        filenames=tuple(b.filenames[i] for i in rows),
        labels=tuple(b.labels[i] for i in columns),
    )
    np.testing.assert_array_equal(fuse([a, shuffled]).framewise, fuse([a, b]).framewise)
    np.testing.assert_array_equal(fuse([a, shuffled]).clipwise, fuse([a, b]).clipwise)
    assert fuse([shuffled, a]).filenames == shuffled.filenames


def test_one_grid_and_the_same_grid_per_clip_are_the_same():
    a, b = part(0), part(1)
    each = replace(b, frame_edges_s=tuple(b.frame_edges_s + 1e-6 for _ in b.filenames))
    np.testing.assert_array_equal(fuse([a, each]).framewise, fuse([a, b]).framewise)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("class0", "Cat")}, r"b: other classes than a \(missing: class1; additional: Cat\)"),
        ({"filenames": ("0.wav", "1.wav", "9.wav")}, r"b: other clips than a \(missing: 2.wav; additional: 9.wav\)"),
        ({"frame_edges_s": np.arange(6) / 10}, r"b: frame edge 5 at 0.5000 s, in a at 0.6250 s"),
        ({"n_frames": np.array([5, 4, 5])}, r"b: 4 frames in 1.wav, a has 5"),
        ({"duration_s": np.array([0.625, 0.625, 0.6])}, r"b: 2.wav lasts 0.600 s, in a 0.625 s"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(SedkitError, match=message):
        fuse([part(0), replace(part(1), **change)], names=["a", "b"])


@pytest.mark.parametrize("without", [0, 1, 2])
def test_clip_scores_that_one_lacks_are_left_out_with_one_warning(without, caplog):
    parts = [part(0), part(1), part(2)]
    with_all = fuse(parts)
    parts[without] = replace(parts[without], clipwise=None)
    fused = fuse(parts, names=["a", "b", "c"])
    np.testing.assert_array_equal(fused.framewise, with_all.framewise)
    assert fused.clipwise is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"{'abc'[without]}: no clip scores, which the others hold")


def test_without_clip_scores_there_is_nothing_to_warn_of(caplog):
    assert fuse([replace(part(i), clipwise=None) for i in (0, 1)]).clipwise is None
    assert not caplog.records


def test_the_same_frames_are_the_same_system_where_clip_scores_do_not_count():
    with pytest.raises(UsageError, match="b: the same scores as a"):
        fuse([part(0), replace(part(0), clipwise=None)], names=["a", "b"])


def test_other_frame_counts_are_refused():
    rng = np.random.default_rng(0)
    short = make_scores(rng.random((3, 4, 2)), clipwise=rng.random((3, 2)), rate_hz=8.0)
    with pytest.raises(SedkitError, match="4 frames a clip, a has 5"):
        fuse([part(0), short], names=["a", "b"])


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], [1, float("nan")]])
def test_weights_are_checked(weights):
    with pytest.raises(UsageError, match="weights"):
        fuse([part(0), part(1)], weights)


def test_one_part_is_no_ensemble():
    with pytest.raises(UsageError, match="at least two"):
        fuse([part(0)])


def test_the_same_scores_count_once():
    a, b = part(0), part(1)
    rows = [2, 0, 1]
    again = replace(
        a, framewise=a.framewise[rows], clipwise=a.clipwise[rows], filenames=tuple(a.filenames[i] for i in rows)
    )
    with pytest.raises(UsageError, match=r"c\.h5: the same scores as a\.h5; give each system once"):
        fuse([a, b, again], names=["a.h5", "b.h5", "c.h5"])
    with pytest.raises(UsageError, match="give each system once"):
        fuse([a, a], weights=[1, 3], names=["a.h5", "a.h5"])
    other_tags = replace(a, clipwise=a.clipwise / 2)
    np.testing.assert_allclose(fuse([a, other_tags]).clipwise, 0.75 * a.clipwise, rtol=1e-6)


def test_fuse(files):
    scores, other, out = str(files / "scores.h5"), str(files / "other.h5"), str(files / "fused.h5")
    one = read_scores(scores)
    write_scores(other, replace(one, framewise=one.framewise / 2))
    assert main(["fuse", scores, other, "--weights", "1,3", "--out", out]) == 0
    np.testing.assert_allclose(read_scores(out).framewise, one.framewise * (0.25 + 0.75 / 2), rtol=1e-6)


def test_fuse_never_writes_into_what_it_reads(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    one = read_scores("scores.h5")
    write_scores("other.h5", replace(one, framewise=one.framewise / 2))
    write_score_tsvs("tables", replace(one, framewise=one.framewise / 4))
    os.link("other.h5", "hard.h5")
    os.symlink("other.h5", "soft.h5")
    before = {path: sha256_file(path) for path in files.rglob("*") if path.is_file()}
    for out in ("scores.h5", "./other.h5", "hard.h5", "soft.h5", str(files / "scores.h5"), "tables", "tables/new.h5"):
        assert main(["fuse", "scores.h5", "other.h5", "tables", "--out", out]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert f"error: {Path(out)} would change " in line
    after = {path: sha256_file(path) for path in files.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert after == before


def test_a_folder_of_score_tables_is_fused_by_its_frame_scores(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    one = read_scores("scores.h5")
    write_score_tsvs("tables", replace(one, framewise=one.framewise / 2))
    assert main(["fuse", "scores.h5", "tables", "--out", "fused.h5"]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        "warning: tables: no clip scores, which the other holds: clip scores are left out of the ensemble, "
        "frame scores are fused"
    ]
    fused = read_scores("fused.h5")
    np.testing.assert_allclose(fused.framewise, 0.75 * one.framewise, rtol=1e-5, atol=1e-6)
    assert fused.clipwise is None
    with pytest.raises(SystemExit):
        main(["fuse", "--help"])
    assert "with one among them frame scores alone are fused" in " ".join(capsys.readouterr().out.split())


def test_fuse_takes_each_system_once(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    shutil.copy("scores.h5", "copy.h5")
    for twice in (["scores.h5", "./scores.h5"], ["scores.h5", "copy.h5"]):
        assert main(["fuse", *twice, "--weights", "1,3", "--out", "fused.h5"]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "give each system once" in line
        assert twice[1] in line
    assert not (files / "fused.h5").exists()
