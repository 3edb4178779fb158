"""Folders of score tables name clips by id: they serve references with any audio ending, with all their digits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sedkit.cli.main import main

#: Two events; the scores of `b` miss the first second of it.
EVENTS = (("a", 0.0, 4.0, "Dog"), ("b", 2.0, 6.0, "Dog"))
SCORES = {"a": (0.9, 0.9, 0.1, 0.1, 0.1), "b": (0.2, 0.7, 0.7, 0.1, 0.1), "c": (0.3, 0.1, 0.1, 0.1, 0.1)}


def write(folder: Path, ending: str, scores: dict[str, tuple[float, ...]] = SCORES) -> Path:
    """Write scores in windows of 2 s, clips of 10 s, and the reference under names with an ending."""
    (folder / "scores").mkdir(parents=True)
    for name, values in scores.items():
        rows = "".join(f"{2 * i}.0\t{2 * i + 2}.0\t{value!r}\n" for i, value in enumerate(values))
        (folder / f"scores/{name}.tsv").write_text("onset\toffset\tDog\n" + rows)
    names = {row[0] for row in EVENTS}
    rows = "".join(f"{name}{ending}\t{on}\t{off}\t{label}\n" for name, on, off, label in EVENTS)
    rows += "".join(f"{name}{ending}\t\t\t\n" for name in scores if name not in names)
    (folder / "ref.tsv").write_text("filename\tonset\toffset\tevent_label\n" + rows)
    (folder / "tags.tsv").write_text("filename\tevent_labels\n" + "".join(f"{name}{ending}\tDog\n" for name in scores))
    (folder / "dur.tsv").write_text(
        "filename\tduration\n" + "".join(f"{name}{ending}\t10.0\n" for name in scores)
    )  # fmt: skip
    return folder


def scored(folder: Path, *words: str) -> dict:
    call = ["score", "--reference", str(folder / "ref.tsv"), "--durations", str(folder / "dur.tsv"), *words]
    assert main([*call, "--json", str(folder / "out.json"), "--force", "true"]) == 0
    return json.loads((folder / "out.json").read_text())


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", "", "_70.000_80.000"])
def test_any_reference_can_be_scored_tuned_for_and_gated(tmp_path: Path, ending: str) -> None:
    folder = write(tmp_path, ending)
    if not ending.startswith("."):
        for path in list((folder / "scores").iterdir()):
            path.rename(path.with_name(f"{path.stem}{ending}.tsv"))
    # By hand: a's detection is its event; b's, 2 to 6 s, is its own; nothing else above .3. No false positive.
    results = scored(folder, "--scores", str(folder / "scores"), "--metrics", "psds1,pauc")
    assert results["psds1"]["value"] == 1.0
    assert results["estimate"]["coverage"] == 1.0
    post = folder / "post.yaml"
    tune = ["tune", str(folder / "scores"), "--reference", str(folder / "ref.tsv"), "--objective", "segment"]
    assert main([*tune, "--out", str(post)]) == 0
    decode = ["decode", str(folder / "scores"), "--postprocessing", "0.5", "--tags", str(folder / "tags.tsv")]
    assert main([*decode, "--out", str(folder / "events.tsv")]) == 0
    results = scored(folder, "--estimate", str(folder / "events.tsv"), "--metrics", "event")
    assert results["event_based"]["macro"]["f1"] == 1.0


def test_scores_are_ranked_with_all_their_digits(tmp_path: Path) -> None:
    # By hand: a's event has the highest score of all, by 1e-9, so it is found before c's false positive: PSDS1 is 1
    # and so is the partial area. In float32 both have one score, and at efpr 3600 / 30 = 120 > 100 all would be 0.
    scores = {"a": (0.5 + 1e-9, 0.5 + 1e-9, 0.0), "c": (0.5, 0.0, 0.0), "d": (0.0, 0.0, 0.0)}
    folder = write(tmp_path, ".wav", scores)
    lines = (folder / "ref.tsv").read_text().splitlines(keepends=True)
    (folder / "ref.tsv").write_text("".join(line for line in lines if not line.startswith("b")))
    results = scored(folder, "--scores", str(folder / "scores"), "--metrics", "psds1,pauc")
    assert (results["psds1"]["value"], results["segment_auc"]["value"]) == (1.0, 1.0)
    decode = ["decode", str(folder / "scores"), "--postprocessing", "0.5", "--out", str(folder / "events.tsv")]
    assert main(decode) == 0
    rows = [line for line in (folder / "events.tsv").read_text().splitlines()[1:] if line.split("\t")[1]]
    assert rows == ["a.wav\t0.000\t4.000\tDog"]


def test_one_rule_for_the_same_clip_in_every_table(tmp_path: Path) -> None:
    folder = write(tmp_path, ".flac")
    decode = ["decode", str(folder / "scores"), "--postprocessing", "0.5", "--out", str(folder / "events.tsv")]
    assert main(decode) == 0
    for name, table in (
        ("clips.tsv", "filename\tfold\na\tone\nb\tone\nc\ttwo\n"),
        ("groups.tsv", "filename\tgroup\na\tg\nb\th\nc\th\n"),
        ("dur.tsv", "filename\tduration\na\t10.0\nb\t10.0\nc\t10.0\n"),
    ):
        (folder / name).write_text(table)
    words = ("--estimate", str(folder / "events.tsv"), "--metrics", "event,segment,intersection", "--bootstrap", "100")
    words += ("--clips", str(folder / "clips.tsv"), "--fold", "one", "--groups", str(folder / "groups.tsv"))
    # The judges see the same clips, and what they make of them is equal.
    results = scored(folder, *words, "--official", "true")
    assert results["reference"]["clips"] == 2
    assert results["event_based"]["official"]["macro"]["f1"] == results["event_based"]["macro"]["f1"] == 1.0


def test_what_a_file_manager_leaves_is_no_table_and_endings_have_any_case(tmp_path: Path) -> None:
    folder = write(tmp_path, ".wav")
    (folder / "scores/._a.tsv").write_bytes(b"\0\1")
    (folder / "scores/b.tsv").rename(folder / "scores/b.TSV")
    results = scored(folder, "--scores", str(folder / "scores"), "--metrics", "psds1")
    assert (results["psds1"]["value"], results["estimate"]["coverage"]) == (1.0, 1.0)
    points = folder / "points"
    points.mkdir()
    rows = [f"{name}.wav\t{on}\t{off}\t{label}\n" for name, on, off, label in EVENTS]
    (points / "th_0.1.TSV").write_text("filename\tonset\toffset\tevent_label\n" + "".join(rows))
    (points / "th_0.5.tsv").write_text("filename\tonset\toffset\tevent_label\n" + rows[0])
    (points / "._th_0.5.tsv").write_bytes(b"\0\1")
    # By hand: the lower threshold finds both events and nothing else.
    results = scored(folder, "--operating-points", str(points), "--metrics", "psds1", "--official", "true")
    assert results["psds1"]["value"] == 1.0


def test_tuning_looks_at_active_rows_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, ".wav")
    (folder / "ref.tsv").write_text(
        "filename\tonset\toffset\tevent_label\tconfidence\na.wav\t0\t4\tDog\t0.2\nb.wav\t2\t6\tDog\t0.9\nc.wav\t\t\t\t\n"
    )
    tune = ["tune", str(folder / "scores"), "--reference", str(folder / "ref.tsv"), "--objective", "segment"]
    assert main([*tune, "--out", str(folder / "post.yaml")]) == 0
    # By hand: b's event (4 s) is the only active one; a's louder windows (4 s) are false: F1 = 2 * 4 / (4 + 8).
    assert "segment: 0.6667 on these 3 clips" in capsys.readouterr().out
