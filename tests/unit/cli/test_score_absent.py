"""Classes of a vocabulary that the scored clips do not have: never counted, told once, no nonsense for a reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sed_eval

from sedkit.cli.main import main
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores

LABELS = ("Bark", "Chime", "Gong")
HEAD = "filename\tonset\toffset\tevent_label\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips with Bark and Chime; Gong is estimated once and scored, but in no clip."""
    (tmp_path / "ref.tsv").write_text(HEAD + "a.wav\t0.0\t1.0\tBark\nb.wav\t1.0\t2.0\tChime\n")
    (tmp_path / "est.tsv").write_text(HEAD + "a.wav\t0.0\t1.0\tBark\nb.wav\t1.0\t2.0\tGong\n")
    framewise = np.full((2, 20, 3), 0.5, np.float32)
    scores = Scores(
        framewise, np.full(2, 20), np.full(2, 2.0), np.arange(21) / 10, ("a.wav", "b.wav"), Vocabulary(LABELS).labels,
        clipwise=framewise[:, 0], producer="sha256:0123",
    )  # fmt: skip
    write_scores(tmp_path / "scores.h5", scores)
    return tmp_path


def call(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    assert main(["score", "--reference", str(folder / "ref.tsv"), *words]) == 0
    return tuple(capsys.readouterr())


def test_scores_of_a_class_without_events_are_told_and_not_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = call(folder, capsys, "--scores", str(folder / "scores.h5"), "--metrics", "tagging,frame")
    (line,) = err.splitlines()
    assert "scores of the classes 'Gong', which are not scored" in line
    assert not line.startswith("warning")


def test_such_a_class_has_no_figures_and_no_part_in_the_means(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--scores", str(folder / "scores.h5"), "--metrics", "tagging,frame", "--json", str(folder / "out.json")]
    call(folder, capsys, *words)
    results = json.loads((folder / "out.json").read_text())
    assert list(results["tagging"]["classes"]) == list(results["frame_based"]["classes"]) == ["Bark", "Chime"]
    # All scores are equal: a quarter of the cells of either class are active.
    assert results["frame_based"]["macro"]["average_precision"] == 0.25


def test_an_error_rate_without_reference_events_is_the_official_one_and_is_not_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = sed_eval.sound_event.EventBasedMetrics(list(LABELS), t_collar=0.2, percentage_of_length=0.2)
    rows = {
        name: [line.split("\t") for line in (folder / f"{name}.tsv").read_text().splitlines()[1:]]
        for name in ("ref", "est")
    }
    for clip in ("a.wav", "b.wav"):
        lists = (
            [
                {"filename": n, "event_onset": float(a), "event_offset": float(b), "event_label": x}
                for n, a, b, x in rows[name]
                if n == clip
            ]
            for name in ("ref", "est")
        )
        judge.evaluate(*lists)
    official = judge.results_class_wise_average_metrics()["error_rate"]["error_rate"]
    assert official > 1e15
    words = ["--estimate", str(folder / "est.tsv"), "--metrics", "event"]
    call(folder, capsys, *words, "--json", str(folder / "out.json"))
    block = json.loads((folder / "out.json").read_text())["event_based"]
    assert block["macro"]["error_rate"] == pytest.approx(official)
    assert block["classes"]["Gong"]["f1"] is None and block["macro"]["f1"] == 0.5
    out, _ = call(folder, capsys, *words)
    assert "ER undefined" in out and "ER of classes without reference events that were predicted" in out
    # The micro error rate is defined: one deletion and one insertion, a substitution, of two events.
    assert "ER 0.5000" in out
