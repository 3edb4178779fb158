"""Figures of a whole set: what they show is counted by hand and by numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tone_case import all_axes, named

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores
from sedkit.dataio.tables import write_events
from sedkit.report.classes import cooccurrence, durations
from sedkit.report.figures import left_out, write_figures
from sedkit.report.sets import SetSubject

LABELS = ("Alarm", "Cat", "Dog")
NAMES = tuple(f"{i}.wav" for i in range(6))
#: Clip 0: Alarm and Dog together for 6 s; clip 5 is of another fold.
TRUE = [
    ("0.wav", 0.0, 10.0, "Alarm"),
    ("0.wav", 2.0, 8.0, "Dog"),
    ("1.wav", 1.0, 1.5, "Dog"),
    ("5.wav", 0.0, 9.0, "Cat"),
]
DECODED = [("0.wav", 0.0, 3.0, "Alarm"), ("0.wav", 2.0, 4.0, "Cat"), ("2.wav", 0.0, 0.4, "Dog")]


@pytest.fixture(scope="module")
def means() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, (6, 3))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, means: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("exp")
    framewise = np.repeat(means[:, None], 20, axis=1)
    scores = Scores(framewise, np.full(6, 20), np.full(6, 10.0), np.arange(21) / 2, NAMES, LABELS)
    (folder / "scores").mkdir()
    (folder / "events").mkdir()
    write_scores(folder / "scores" / "set.h5", scores)
    write_events(folder / "events" / "set.tsv", Events.from_rows(DECODED, LABELS))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    folder = tmp_path_factory.mktemp("data") / "set"
    clips = Clips(NAMES, NAMES, np.full(6, 10.0), ("1", "1", "1", "1", "1", "2"))
    write_datadir(folder, clips, Vocabulary(LABELS), strong=Events.from_rows(TRUE, LABELS).keep_clips(NAMES))
    return DataDir(folder)


def matrix(figure: object, title: str) -> np.ndarray:
    return np.ma.filled(named(figure, title).images[0].get_array(), np.nan)


def test_classes_with_each_other(data: DataDir, experiment: Path, means: np.ndarray) -> None:
    figure = cooccurrence(SetSubject.of(data, experiment))
    expected = np.corrcoef(means.T)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(matrix(figure, "scores"), expected)
    positive = np.maximum(expected[np.triu_indices(3, 1)], 0).mean()
    assert named(figure, "scores").get_title() == f"scores: correlation over clips, positive part {positive:.3f}"
    active = np.zeros((6, 3))
    active[0], active[1, 2], active[5, 1] = (1.0, 0.0, 0.6), 0.05, 0.9
    truth, overlap = (x for x in all_axes(figure) if x.get_title().startswith("true events"))
    shown = np.ma.filled(truth.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown[0, 1:], np.corrcoef(active.T)[0, 1:])
    assert overlap.get_title() == "true events: overlap, 0.10 minutes in all"
    assert overlap.images[0].get_array()[0, 2] == pytest.approx(0.1)
    assert matrix(figure, "decoded events")[1, 0] == pytest.approx(1 / 60)
    assert [text.get_text() for text in overlap.texts] == ["0.10", "0.10"]


def test_only_the_clips_of_a_fold(data: DataDir, experiment: Path, means: np.ndarray) -> None:
    figure = cooccurrence(SetSubject.of(data, experiment, folds=["1"]))
    assert matrix(figure, "scores")[0, 1] == pytest.approx(np.corrcoef(means[:5].T)[0, 1])
    # Cat is in no clip of the fold.
    assert np.isnan(matrix(figure, "true events: corr")).sum() == 3 + 4


def test_durations_of_events(data: DataDir, experiment: Path) -> None:
    figure = durations(SetSubject.of(data, experiment))
    (true, decoded) = (patch.get_data() for patch in named(figure, "Dog").patches)
    assert np.flatnonzero(true.values).tolist() == [0, 6] and true.edges.tolist() == list(range(11))
    assert np.flatnonzero(decoded.values).tolist() == [0]
    assert [x.get_text() for x in named(figure, "Dog").get_legend().get_texts()] == ["true (2)", "decoded (1)"]
    # The longest is in the last bin, whose end it is.
    assert named(figure, "Alarm").patches[0].get_data().values[9] == 1


def test_files_and_what_is_left_out(data: DataDir, experiment: Path, tmp_path: Path) -> None:
    whole = SetSubject.of(data, experiment)
    kinds = ("cross_triggers", "durations", "cooccurrence")
    written = write_figures(whole, tmp_path, 20)
    assert [path.name for path in written] == [f"set.{kind}.{ending}" for kind in kinds for ending in ("png", "svg")]
    assert left_out(whole) == []
    scores = experiment / "scores" / "set.h5"
    less = SetSubject.of(data, tmp_path / "none", scores=scores)
    events = tmp_path / "none" / "events" / "set.tsv"
    reason = f"there is no {events} (--events names another file)"
    assert left_out(less) == [
        f"no cross_triggers, durations: {reason}",
        f"cooccurrence without overlap of events: {reason}",
    ]
    assert len([x for x in cooccurrence(less).axes if x.get_title()]) == 2
    none = SetSubject.of(data, tmp_path / "none")
    assert left_out(none)[1].startswith("no cooccurrence: there is no ")


def test_what_of_a_table_is_passed_over_is_said(data: DataDir, tmp_path: Path) -> None:
    table = tmp_path / "more.tsv"
    rows = [*DECODED, ("0.wav", 1.0, 2.0, "Siren"), ("x.wav", 0.0, 1.0, "Dog")]
    write_events(table, Events.from_rows(rows, (*LABELS, "Siren", "Bell")))
    subject = SetSubject.of(data, tmp_path, events=table)
    assert subject.remarks == (
        f"{table}: 1 clips are not among the 6 of set",
        f"{table}: events of Siren are left out, which set does not know",
    )
    assert subject.decoded.labels == LABELS and subject.decoded.n_events == 3


def test_files_of_other_clips_are_refused(data: DataDir, experiment: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    write_events(other, Events.from_rows([("x.wav", 0.0, 1.0, "Dog")], LABELS))
    with pytest.raises(SedkitError, match=r"other.tsv: lists none of the clips \(x.wav, expected some of 0.wav"):
        SetSubject.of(data, experiment, events=other)
