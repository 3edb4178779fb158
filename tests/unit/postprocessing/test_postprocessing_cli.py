"""decode, tune and fuse from the command line."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slow_decoder import make_scores

from sedkit.cli.main import main
from sedkit.core.files import read_yaml, sha256_file
from sedkit.dataio.events import tags_of
from sedkit.dataio.score_tsvs import write_score_tsvs
from sedkit.dataio.store import read_scores, write_scores
from sedkit.dataio.tables import read_events, read_strong, write_events, write_weak
from sedkit.postprocessing import FrameRule, Postprocessing, decode

LABELS = ["Cat", "Dog"]


@pytest.fixture
def files(tmp_path):
    """Return a folder with scores and the tables of what they hold."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 70, 2))
    framewise = 1 / (1 + np.exp(-4 * sum(x[:, k : k + 64] for k in range(6)) / 3))
    scores = make_scores(framewise, clipwise=rng.random((12, 2)), rate_hz=8.0, labels=LABELS)
    write_scores(tmp_path / "scores.h5", scores)
    noisy = framewise + 0.1 * rng.standard_normal(framewise.shape)
    truth = decode(make_scores(noisy, rate_hz=8.0, labels=LABELS), Postprocessing.uniform(LABELS, FrameRule(0.8)))
    write_events(tmp_path / "strong.tsv", truth)
    write_weak(tmp_path / "weak.tsv", tags_of(truth))
    return tmp_path


def test_decode_lists_every_clip_and_is_not_repeated(files, capsys):
    out = files / "events.tsv"
    arguments = ["decode", str(files / "scores.h5"), "--postprocessing", "0.9", "--out", str(out)]
    assert main(arguments) == 0
    scores = read_scores(files / "scores.h5")
    events, findings = read_events(out, LABELS)
    assert not findings
    assert events.filenames == scores.filenames
    assert events.n_events == decode(scores, Postprocessing.uniform(LABELS, FrameRule(0.9))).n_events > 0
    before = out.stat().st_mtime_ns
    assert main(arguments) == 0
    assert out.stat().st_mtime_ns == before
    assert "events.tsv is up to date" in capsys.readouterr().err
    assert main([*arguments, "--force", "true"]) == 0
    assert out.stat().st_mtime_ns > before


def test_decode_with_rules_tags_points_and_scores(files):
    post = files / "post.yaml"
    Postprocessing.uniform(LABELS, FrameRule(0.5, median_s=0.4)).write(post)
    call = ["decode", str(files / "scores.h5"), "--postprocessing", str(post), "--tags", str(files / "weak.tsv")]
    call += ["--out", str(files / "e.tsv"), "--operating-points-out", str(files / "points"), "--operating-points", "4"]
    call += ["--scores-out", str(files / "processed")]
    assert main(call) == 0
    tags = tags_of(read_strong(files / "strong.tsv", LABELS))
    events = read_strong(files / "e.tsv", LABELS)
    assert events.n_events > 0
    assert not (tags_of(events).present & ~tags.keep_clips(events.filenames).present).any()
    assert len(list((files / "points").iterdir())) == 4
    assert len(read_scores(files / "processed").filenames) == 12
    # A changed threshold in the rules makes all three again.
    Postprocessing.uniform(LABELS, FrameRule(0.7, median_s=0.4)).write(post)
    assert main(call) == 0
    assert read_strong(files / "e.tsv", LABELS).n_events != events.n_events


def test_tune_then_decode(files, capsys):
    scores, post, both = (str(files / name) for name in ("scores.h5", "post.yaml", "both.yaml"))
    assert main(["tune", scores, "--reference", str(files / "weak.tsv"), "--objective", "tagging", "--out", post]) == 0
    assert "on these 12 clips" in capsys.readouterr().out
    strong = str(files / "strong.tsv")
    call = ["tune", scores, "--reference", strong, "--objective", "event", "--out", both, "--start", post]
    assert main([*call, "--seed", "3"]) == 0
    found = read_yaml(both)
    assert found["tuned_on"] | {"producer": ""} == {
        "path": strong,
        "sha256": sha256_file(strong),
        "clips": 12,
        "scores": scores,
        "producer": "",
        "seed": 3,
    }
    assert found["objective"] == "event"
    gates = {label: rule["clip_threshold"] for label, rule in read_yaml(post)["classes"].items()}
    assert gates == {label: rule["clip_threshold"] for label, rule in found["classes"].items()}
    assert main(["decode", scores, "--postprocessing", both, "--out", str(files / "e.tsv")]) == 0


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


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["decode", "scores.h5"], 2, "nothing to write"),
        (["decode", "scores.h5", "--out", "e.tsv", "--operating-points", "5"], 2, "needs --operating-points-out"),
        (["decode", "scores.h5", "--out", "e.tsv", "--postprocessing", "no.yaml"], 2, "no such file"),
        (["decode", "nothing.h5", "--out", "e.tsv"], 1, "nothing.h5"),
        (["decode", "scores.h5", "--out", "e.tsv", "--postprocessing", "0.5", "--tags", "scores.h5"], 1, "sedkit tune"),
        (["decode", "scores.h5", "--out", "e.tsv", "--postprocesing", "0.5"], 2, "did you mean"),
        (
            ["tune", "scores.h5", "--reference", "weak.tsv", "--objective", "event", "--out", "p.yaml"],
            2,
            "needs events",
        ),
        (["tune", "scores.h5", "--reference", "weak.tsv", "--objective", "f1", "--out", "p.yaml"], 2, "psds1"),
        (["tune", "scores.h5", "--reference", "no.tsv", "--objective", "event", "--out", "p.yaml"], 1, "no.tsv"),
        (["fuse", "scores.h5", "--out", "f.h5"], 2, "at least two"),
        (["fuse", "scores.h5", "scores.h5", "--weights", "1", "--out", "f.h5"], 2, "1 weights for 2 files"),
        (["fuse", "scores.h5", "scores.h5", "--weights", "1,x", "--out", "f.h5"], 2, "expected numbers"),
    ],
)
def test_bad_use_ends_in_one_line_and_leaves_nothing(files, monkeypatch, capsys, words, status, message):
    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.iterdir() if not path.name.endswith(".lock"))
    assert main(words) == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"sedkit {words[0]}: error: ")
    assert message in lines[0]
    assert sorted(path.name for path in files.iterdir() if not path.name.endswith(".lock")) == before
