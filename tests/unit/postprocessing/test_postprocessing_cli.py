"""decode, tag and tune from the command line, and the bad use that these and fuse refuse."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slow_decoder import LABELS

from sedkit.cli.main import main
from sedkit.core.files import read_yaml, sha256_file
from sedkit.core.stamp import Step, facts_of
from sedkit.dataio.events import tags_of
from sedkit.dataio.rows import write_table
from sedkit.dataio.store import read_scores, write_scores
from sedkit.dataio.tables import read_events, read_strong, read_weak
from sedkit.postprocessing import FrameRule, Postprocessing, decode


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
    rules = read_yaml(both)
    assert rules["tuned_on"] | {"producer": ""} == {
        "path": strong,
        "sha256": sha256_file(strong),
        "clips": 12,
        "scores": scores,
        "producer": "",
        "of": [],
        "seed": 3,
    }
    assert rules["objective"] == "event"
    gates = {label: rule["clip_threshold"] for label, rule in read_yaml(post)["classes"].items()}
    assert gates == {label: rule["clip_threshold"] for label, rule in rules["classes"].items()}
    assert main(["decode", scores, "--postprocessing", both, "--out", str(files / "e.tsv")]) == 0


@pytest.mark.parametrize(("table", "objective"), [("strong.tsv", "event"), ("weak.tsv", "tagging")])
def test_tune_on_some_classes_of_the_reference(files, capsys, table, objective):
    """A third class changes nothing where it is not asked for; without the list of classes it is no word of ours."""
    path, plain, cut = files / table, files / "plain.yaml", files / "cut.yaml"
    call = ["tune", str(files / "scores.h5"), "--reference", str(path), "--objective", objective, "--out"]
    assert main([*call, str(plain)]) == 0
    lines = path.read_text().splitlines()
    more = "x.wav\t0.0\t1.0\tSpeech" if objective == "event" else "x.wav\tSpeech"
    path.write_text("\n".join([*lines, more]) + "\n")
    assert main([*call, str(cut)]) == 1
    assert "unknown label 'Speech'" in capsys.readouterr().err
    (files / "labels.txt").write_text("Dog\nCat\n")
    assert main([*call, str(cut), "--labels", str(files / "labels.txt")]) == 0
    assert read_yaml(cut)["classes"] == read_yaml(plain)["classes"]
    (files / "labels.txt").write_text("Dog\nCat\nSpeech\n")
    assert main([*call, str(cut), "--labels", str(files / "labels.txt")]) == 1
    assert "classes that the scores lack: Speech" in capsys.readouterr().err
    # A list that comes along, by its name.
    path.write_text(path.read_text().replace("Speech", "Humming"))
    assert main([*call, str(cut), "--labels", "desed"]) == 0
    assert read_yaml(cut)["classes"] == read_yaml(plain)["classes"]
    assert main([*call, str(cut), "--labels", "desd"]) == 1
    assert 'metadata/classes/desd.txt: no such file (did you mean "desed.txt"?)' in capsys.readouterr().err


def stamp(path, **facts):
    """Give a file the stamp that the call which made it would have left."""
    with Step("predict", path, {}, force=True, facts=facts).running():
        pass


def saw(trained=(), selected=()):
    return {"trained": [list(x) for x in trained], "selected": [list(x) for x in selected]}


def test_tags_are_the_clips_above_the_clip_thresholds(files, monkeypatch):
    monkeypatch.chdir(files)
    scores = read_scores("scores.h5")
    rules = [FrameRule(0.5, clip_threshold=0.25), FrameRule(0.5, clip_threshold=0.75)]
    Postprocessing(tuple(LABELS), tuple(rules)).write("post.yaml")
    for word, thresholds in (("post.yaml", [0.25, 0.75]), ("0.6", [0.6, 0.6])):
        assert main(["tag", "scores.h5", "--postprocessing", word, "--out", "tags.tsv"]) == 0
        tags = read_weak("tags.tsv", LABELS)
        assert tags.filenames == scores.filenames
        np.testing.assert_array_equal(tags.present, scores.clipwise > np.array(thresholds))
        assert tags.present.any()
        assert not tags.present.any(axis=1).all(), "a clip without a class is listed too"
    before = os.stat("tags.tsv").st_mtime_ns
    assert main(["tag", "scores.h5", "--postprocessing", "0.6", "--out", "tags.tsv"]) == 0
    assert os.stat("tags.tsv").st_mtime_ns == before


def test_a_gate_of_tags_is_the_gate_of_their_scores(files, monkeypatch):
    monkeypatch.chdir(files)
    Postprocessing.uniform(LABELS, FrameRule(0.8, clip_threshold=0.6)).write("gated.yaml")
    Postprocessing.uniform(LABELS, FrameRule(0.8)).write("free.yaml")
    assert main(["tag", "scores.h5", "--postprocessing", "gated.yaml", "--out", "tags.tsv"]) == 0
    assert main(["decode", "scores.h5", "--postprocessing", "gated.yaml", "--out", "a.tsv"]) == 0
    call = ["decode", "scores.h5", "--postprocessing", "free.yaml", "--tags", "tags.tsv", "--out", "b.tsv"]
    assert main(call) == 0
    assert Path("a.tsv").read_text() == Path("b.tsv").read_text() != ""


@pytest.mark.parametrize("objective", ["event", "segment", "intersection", "psds1"])
@pytest.mark.parametrize("gate", ["tags.tsv", "other.h5"])
def test_tune_behind_a_gate_reports_what_decode_and_score_give(files, monkeypatch, objective, gate):
    """The judge of the value is `sedkit score` (whose figures sed_eval and psds_eval judge) on what decode writes."""
    monkeypatch.chdir(files)
    one = read_scores("scores.h5")
    write_scores("other.h5", replace(one, clipwise=1 - one.clipwise))
    Postprocessing.uniform(LABELS, FrameRule(0.9, clip_threshold=0.35)).write("start.yaml")
    assert main(["tag", "other.h5", "--postprocessing", "start.yaml", "--out", "tags.tsv"]) == 0
    call = ["tune", "scores.h5", "--reference", "strong.tsv", "--objective", objective, "--start", "start.yaml"]
    assert main([*call, "--tags", gate, "--out", "post.yaml"]) == 0
    assert main([*call, "--out", "own.yaml"]) == 0
    rules = read_yaml("post.yaml")
    assert rules["value"] != read_yaml("own.yaml")["value"]
    assert {rule["clip_threshold"] for rule in rules["classes"].values()} == {0.35}
    call = ["decode", "scores.h5", "--postprocessing", "post.yaml", "--tags", gate, "--out", "events.tsv"]
    assert main([*call, "--operating-points-out", "points"]) == 0
    write_table("durations.tsv", {"filename": one.filenames, "duration": one.duration_s})
    call = ["score", "--reference", "strong.tsv", "--durations", "durations.tsv", "--metrics", objective]
    call += ["--operating-points", "points"] if objective == "psds1" else ["--estimate", "events.tsv"]
    assert main([*call, "--json", "figures.json"]) == 0
    block = json.loads(Path("figures.json").read_text())[objective if objective == "psds1" else f"{objective}_based"]
    assert not block.get("left_out_of_macro")
    assert rules["value"] == pytest.approx(block["value"] if objective == "psds1" else block["macro"]["f1"], abs=1e-12)
    assert rules["value"] > 0.1


def test_facts_go_with_scores_events_tags_and_ensembles(files, monkeypatch):
    monkeypatch.chdir(files)
    one = read_scores("scores.h5")
    write_scores("other.h5", replace(one, framewise=one.framewise / 2))
    places = saw([("d/weak", "train")], [("d/weak", "select")])
    run = {"recipe": "r", "system": "s"}
    stamp("scores.h5", of=[["d/weak", "tune"]], role="training", saw=places, run=run | {"seed": 0})
    stamp("other.h5", of=[["d/weak", "tune"]], role="training", saw=saw([("e", None)]), run=run | {"seed": 1})
    assert main(["tune", "scores.h5", "--reference", "weak.tsv", "--objective", "tagging", "--out", "clip.yaml"]) == 0
    assert read_yaml("clip.yaml")["tuned_on"]["of"] == [["d/weak", "tune"]]
    stamp("scores.h5", of=[["d/strong", "tune"]], role="training", saw=places, run=run | {"seed": 0})
    call = ["tune", "scores.h5", "--reference", "strong.tsv", "--objective", "segment", "--start", "clip.yaml"]
    assert main([*call, "--out", "post.yaml"]) == 0
    tuned = [["d/strong", "tune"], ["d/weak", "tune"]]
    assert read_yaml("post.yaml")["tuned_on"]["of"] == tuned

    stamp("scores.h5", of=[["d/v", None]], role="reported", saw=places, run=run | {"seed": 0})
    stamp("other.h5", of=[["d/v", None]], role="reported", saw=saw([("e", None)]), run=run | {"seed": 1})
    own = {"of": [["d/v", None]], "role": "reported", "saw": places, "tuned": [], "run": run | {"seed": 0}}
    assert main(["tag", "other.h5", "--postprocessing", "clip.yaml", "--out", "tags.tsv"]) == 0
    assert facts_of("tags.tsv")["tuned"] == [["d/weak", "tune"]]
    call = ["decode", "scores.h5", "--out", "e.tsv", "--operating-points-out", "points", "--scores-out", "processed.h5"]
    assert main(call) == 0
    assert facts_of("e.tsv") == facts_of("points") == facts_of("processed.h5") == own
    assert main(["decode", "scores.h5", "--postprocessing", "post.yaml", "--tags", "tags.tsv", "--out", "e.tsv"]) == 0
    both = saw([("d/weak", "train"), ("e", None)], [("d/weak", "select")])
    assert facts_of("e.tsv") == own | {"saw": both, "tuned": [["d/weak", "tune"], ["d/strong", "tune"]]}
    assert main(["fuse", "scores.h5", "other.h5", "--out", "fused.h5"]) == 0
    assert facts_of("fused.h5") == own | {"saw": both, "run": run}
    # Tables of others say nothing.
    write_scores("foreign.h5", replace(one, framewise=one.framewise / 3))
    assert main(["decode", "foreign.h5", "--out", "foreign.tsv"]) == 0
    assert facts_of("foreign.tsv") == {}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"saw": saw([("d/a", None)])}, "is of clips that its run was trained on (d/a, fold 1)"),
        ({"saw": saw([("d/b", None), ("d/a", "1")])}, "is of clips that its run was trained on (d/a, fold 1)"),
        ({"role": "reported"}, "d/a is a set whose figures are reported; expected scores of a set to tune on"),
        ({"role": "entered"}, "d/a is a set whose figures are entered; expected scores of a set to tune on"),
    ],
)
@pytest.mark.parametrize("of_tags", [False, True])
def test_tune_refuses_by_fact(files, monkeypatch, capsys, facts, message, of_tags):
    monkeypatch.chdir(files)
    write_scores("other.h5", read_scores("scores.h5"))
    Postprocessing.uniform(LABELS, FrameRule(0.9, clip_threshold=0.35)).write("start.yaml")
    call = ["tune", "scores.h5", "--reference", "strong.tsv", "--objective", "segment", "--out", "p.yaml"]
    call += ["--tags", "other.h5", "--start", "start.yaml"]
    good = {"of": [["d/a", "1"]], "role": "training", "saw": saw([("d/a", "2")])}
    stamp("scores.h5", **good)
    stamp("other.h5", **good)
    assert main(call) == 0
    seen = "other.h5" if of_tags else "scores.h5"
    stamp(seen, **good | facts)
    capsys.readouterr()
    assert main(call) == 2, "also where the rules are there"
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{seen}: " in line
    assert message in line


def test_tuning_on_what_selected_the_run_is_warned_of(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    call = ["tune", "scores.h5", "--reference", "strong.tsv", "--objective", "segment", "--force", "true"]
    for fold, warned in (("tune", True), ("select", False)):
        stamp("scores.h5", of=[["d/a", "tune"]], saw=saw([], [("d/a", fold)]))
        assert main([*call, "--out", "p.yaml"]) == 0
        assert ("the run was selected on these clips too (d/a, fold tune)" in capsys.readouterr().err) == warned


def test_recordings_are_in_one_part_of_cross_validation(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    names = read_scores("scores.h5").filenames
    call = ["tune", "scores.h5", "--reference", "strong.tsv", "--objective", "segment", "--groups", "clips.tsv"]

    def value(text):
        Path("clips.tsv").write_text(text)
        assert main([*call, "--out", "p.yaml"]) == 0
        return read_yaml("p.yaml")["cross_validated"], capsys.readouterr().err

    alone, said = value("filename\tfold\n" + "".join(f"{name}\ta\n" for name in names))
    assert "clips.tsv: has no column group: every clip is a group of its own" in said
    same, said = value("filename\tgroup\n" + "".join(f"{name}\t{name}\n" for name in names))
    assert (same, "group" in said) == (alone, False)
    # Everything in one group: there are no other clips to choose rules on, and nothing is found.
    assert value("filename\tgroup\n" + "".join(f"{name}\tg\n" for name in names))[0] == 0.0


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
        (
            [
                "tune",
                "scores.h5",
                "--reference",
                "weak.tsv",
                "--objective",
                "tagging",
                "--tags",
                "weak.tsv",
                "--out",
                "p",
            ],
            2,
            "chooses the clip gate",
        ),
        (["tag", "scores.h5", "--postprocessing", "baseline2018", "--out", "t.tsv"], 1, "Cat has no clip_threshold"),
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
