"""The page: what it says, what it holds, and what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
from page_case import CLIPS, DECODED, LABELS, make_data, make_run

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores
from sedkit.report.facts import _verdict
from sedkit.report.html import render, script_json
from tests.unit import results_files


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("page") / "data" / "validation")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return make_run(data.parents[1] / "exp" / "one" / "seed0", data)


@pytest.fixture(scope="module")
def page(run: Path, data: Path) -> str:
    assert main(["report", str(run)]) == 0
    return (run / "report" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are drawn for the page of the module alone; what is in them is looked at elsewhere."""
    monkeypatch.setattr("sedkit.report.page.drawn", lambda drawing, subject: b'<svg width="9pt" height="9pt"/>')


def scripts(page: str) -> dict[str, Any]:
    """The JSON of a page by the id of its script."""
    pairs = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page, re.S)
    return {name: json.loads(text) for name, text in pairs}


def text(page: str) -> str:
    """What a reader sees, in one line."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_tells_what_was_run_and_how_well(page: str) -> None:
    shown = text(page)
    assert "recipe a_recipe" in shown and "training time 30 s for 3 steps" in shown and "energy not measured" in shown
    assert "validation 5 0.01 4 not an official one 5 of 5 clips" in shown
    # Event-based macro F1 by hand: Alarm 0, Cat and Dog 1/2.
    assert "33.33" in shown and "published" not in shown.lower()
    assert page.count('<img loading="lazy" src="data:image/svg+xml;base64,') == 8
    assert "loss" in base64.b64decode(re.findall(r"svg\+xml;base64,([^\"]+)", page)[-1]).decode()


def test_it_is_one_file_and_runs_its_own_script_alone(page: str) -> None:
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'") and "default-src 'none'" in page


def test_events_of_all_clips_and_media_of_those_chosen(run: Path, data: Path, page: str, tmp_path: Path) -> None:
    content = scripts(page)
    (of_set,) = content["report-data"]["sets"]
    assert [clip["name"] for clip in of_set["clips"]] == list(CLIPS) and of_set["labels"] == list(LABELS)
    assert sorted(name for name in content if name != "report-data") == [f"media-0-{k}" for k in range(5)]
    media = content["media-0-1"]
    assert media["mime"] in ("audio/ogg", "audio/wav") and media["image_s"] == pytest.approx(4.0, abs=0.05)
    assert media["curves"][0]["labels"] == [1, 2]
    # The two with the most errors, and the first and the last of the others.
    assert main(["report", str(run), "--clips", "4", "--out", str(tmp_path)]) == 0
    fewer = (tmp_path / "index.html").read_text()
    assert {*scripts(fewer)} == {"report-data", "media-0-0", "media-0-1", "media-0-3", "media-0-4"}
    assert len(scripts(fewer)["report-data"]["sets"][0]["clips"]) == 5
    said = "sound, spectrogram and score curves of 4 of 5 clips (the 2 with the most errors and 2 evenly spread"
    assert said in text(fewer)
    assert main(["report", str(run), "--clips", "b,d.wav", "--out", str(tmp_path)]) == 0
    named = (tmp_path / "index.html").read_text()
    assert {*scripts(named)} == {"report-data", "media-0-1", "media-0-3"} and "those of --clips" in text(named)


def test_what_is_larger_than_allowed_is_left_out_and_said(run: Path, page: str, tmp_path: Path) -> None:
    """Of five clips of equal size two fit, and a third that begins within the limit."""
    one = len(script_json(scripts(page)["media-0-1"]))
    assert main(["report", str(run), "--max-size", f"{2.5 * one / 1e6:.5f}", "--out", str(tmp_path)]) == 0
    small = (tmp_path / "index.html").read_text()
    assert len(scripts(small)) == 1 + 3
    assert re.search(r"3 of 5 clips; left out for .*\(--max-size\): 2\.", text(small))


def test_it_is_made_again_only_where_something_changed(
    run: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().err == f"report: {run / 'report' / 'index.html'} is up to date\n"
    assert main(["report", str(run), "--clips", "1"]) == 0
    assert "up to date" not in capsys.readouterr().err
    assert main(["report", str(run)]) == 0


def test_a_recording_that_is_not_there_is_said(data: Path, run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "validation")
    assert main(["report", str(run), "--data", str(copy), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    media = scripts(page)["media-0-0"]
    assert "sound" not in media and media["lacks"].startswith("No sound and no spectrogram: ")
    assert "left out for recordings that cannot be read: 5" in text(page)


def test_scores_of_someone_elses_network(data: Path, run: Path, tmp_path: Path) -> None:
    scores = shutil.copy(run / "scores" / "validation.h5", tmp_path / "theirs.h5")
    assert main(["report", str(scores), "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    shown = text(page)
    assert "theirs" in shown and "an output made elsewhere" in shown
    assert "validation: no cross_triggers, durations: there is no file of them (--events names another file)" in shown
    # What scores alone give.
    names = re.findall(r'<img [^>]* alt="([a-z_ 0-9]+):', page)
    assert names == ["psd roc", "thresholds", "cooccurrence"]
    assert len(scripts(page)) == 6


def test_events_without_data_and_truth(run: Path, tmp_path: Path) -> None:
    events = shutil.copy(run / "events" / "validation.tsv", tmp_path / "theirs.tsv")
    assert main(["report", str(events), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "the data dir of theirs is not known (--data DIR names it)" in text(page)
    clips = scripts(page)["report-data"]["sets"][0]["clips"]
    # The classes are those that the table names, Cat and Dog.
    assert clips[0]["truth"] is None and clips[1]["systems"][0]["events"][1][:3] == [0, 0.5, 1.5]


def test_two_runs_and_how_they_differ(data: Path, run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "exp" / "two" / "seed0", data, decoded=DECODED[1:])
    assert main(["report", str(run), str(other), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    shown = text(page)
    # Without Dog in clip a: Alarm 0, Cat 1/2, Dog 0.
    assert "event-based F1, macro one/seed0 − two/seed0 0.3333 0.1667 +0.1667" in shown
    assert "PSDS1 one/seed0 − two/seed0" in shown and "not decided (few clips)" in shown
    assert scripts(page)["report-data"]["systems"] == ["one/seed0", "two/seed0"]
    assert all(len(clip["systems"]) == 2 for clip in scripts(page)["report-data"]["sets"][0]["clips"])


@pytest.mark.parametrize(
    ("interval", "said"),
    [((0.01, 0.1), "a ahead"), ((-0.1, -0.01), "b ahead"), ((-0.1, 0.1), "not decided"), (None, "not decided")],
)
def test_nobody_is_ahead_by_an_interval_with_0_in_it(interval: tuple[float, float] | None, said: str) -> None:
    assert _verdict(interval, "a", "b") == said


def test_a_run_that_is_still_trained_has_its_curves(run: Path, tmp_path: Path) -> None:
    young = tmp_path / "one" / "seed0"
    young.mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl"):
        shutil.copy(run / name, young)
    assert main(["report", str(young)]) == 0
    page = (young / "report" / "index.html").read_text()
    assert page.count("<figure") == 1 and "a_recipe: sound event detection on no set" in text(page)
    assert 'id="browser"' not in page


def test_a_run_without_a_set_of_the_other_is_said(data: Path, run: Path, tmp_path: Path) -> None:
    public = make_data(tmp_path / "data" / "public")
    other = make_run(tmp_path / "exp" / "two" / "seed0", public)
    assert main(["report", str(run), str(other), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "one/seed0 has no output on public" in text(page) and "two/seed0 has no output on validation" in text(page)
    first, second = scripts(page)["report-data"]["sets"]
    assert first["clips"][0]["systems"][1] is None and second["clips"][0]["systems"][0] is None


@pytest.mark.parametrize("known_as", ["validation_desed", None])
def test_official_rows_stand_beside_results_of_the_official_reference_alone(
    run: Path, data: Path, tmp_path: Path, known_as: str | None
) -> None:
    copy = shutil.copytree(run, tmp_path / "one" / "seed0", ignore=shutil.ignore_patterns("report"))
    results = results_files.results(known_as)
    results["estimate"]["path"] = "events/validation.tsv"
    results_files.save(copy / "results" / "validation.json", results)
    assert main(["report", str(copy), "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert ("baseline" in text(page)) == (known_as is not None)
    assert ('<tr class="ours">' in page) == (known_as is not None)
    # Each with its source.
    assert ("Sources of the official figures" in page) == (known_as is not None)
    assert ("the reference is not an official one" in text(page)) == (known_as is None)


def test_controls_stand_below_the_systems(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "--out", str(tmp_path)]) == 0
    page = text((tmp_path / "index.html").read_text())
    # Of 20 seconds each: Dog is in 2, Cat in 2, Alarm in 1, and F1 is 2 TP / (20 + what is true).
    f1 = 100 * (4 / 22 + 4 / 22 + 2 / 21) / 3
    row = page[page.index("every class throughout") :][:80]
    assert f"{f1:.2f}" in row and "no event" in page


def test_json_in_a_page_ends_no_script_and_comes_back() -> None:
    nasty = {"</script><!--": ["\u2028\u2029", "<b>&amp;</b>", "\udcff", "猫"]}
    inside = script_json(nasty)
    assert not set("<>&\u2028\u2029") & set(inside) and inside.isascii()
    assert json.loads(inside) == nasty
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_a_name_that_the_template_lacks_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="title"):
        render({})


def test_without_jinja2_it_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["report", str(run), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("`pip install 'jinja2>=3.1'`")
    assert not (tmp_path / "index.html").exists()


def said(words: list[object], status: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["report", *map(str, words)]) == status
    return capsys.readouterr().err.splitlines()[-1]


def test_bad_use_is_told_in_a_line(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 experiments: --out DIR says where the page goes" in said([run, run], 2, capsys)
    line = said([run / "scores" / "validation.h5", "--data", data], 2, capsys)
    assert "is an output alone, no experiment's folder: --out DIR" in line
    assert "5 experiments: expected 4 at most" in said([*[run] * 5, "--out", tmp_path], 2, capsys)
    assert "--clips f.wav: no such clip" in said([run, "--clips", "f.wav", "--out", tmp_path], 2, capsys)
    assert "--set public: no run has it" in said([run, "--set", "public", "--out", tmp_path], 2, capsys)
    assert "nowhere: is not there" in said([tmp_path / "nowhere"], 1, capsys)
    line = said([run, "--window", "2", "--out", tmp_path], 2, capsys)
    assert line.endswith("--window is of the network that figures of recordings ask: give --figures too")
    line = said([run, "--max-size", "2", "--figures", tmp_path], 2, capsys)
    assert line.endswith("--max-size is of the page: give --out too")
    (tmp_path / "last.pt").write_bytes(b"")
    line = said([tmp_path / "last.pt", "--out", tmp_path], 1, capsys)
    assert "last.pt: has no scores, events or records of a training: nothing to report" in line
    assert "not a data dir" in said([run, "--data", tmp_path], 1, capsys)


def test_scores_of_other_clips_are_refused(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = read_scores(run / "scores" / "validation.h5")
    other = Scores(
        scores.framewise[:1], scores.n_frames[:1], scores.duration_s[:1], scores.frame_edges_s, ("x.wav",), LABELS
    )
    write_scores(tmp_path / "x.h5", other)
    assert "lists none of the clips (x.wav, expected some of a.wav" in said(
        [tmp_path / "x.h5", "--data", data, "--out", tmp_path], 1, capsys
    )
    theirs = shutil.copy(run / "scores" / "validation.h5", tmp_path / "y.h5")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "x.h5", tmp_path / "other" / "y.h5")
    line = said([theirs, tmp_path / "other" / "y.h5", "--out", tmp_path], 1, capsys)
    assert line.endswith("list no clip in common")


def test_an_unreadable_results_file_is_named(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "one" / "seed0")
    (copy / "results" / "validation.json").write_text("{}")
    with pytest.raises(SedkitError, match=r"validation.json: is no results file"):
        from sedkit.report.runs import RunSubject

        RunSubject.open(copy)
