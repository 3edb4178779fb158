"""What is found of a run: its sets, their files and their data, wherever these lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from page_case import CLIPS, LABELS, make_data, make_run

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import write_json
from sedkit.core.stamp import Step
from sedkit.dataio.datadir import DataDir
from sedkit.report.runs import RunSubject, chosen_sets, open_runs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data" / "validation")


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    return make_run(tmp_path / "exp" / "one" / "seed0", data)


def test_sets_are_those_with_results_and_their_files_those_of_the_tuned_rules(run: Path) -> None:
    for name in ("validation.published.tsv", "synthetic.tsv"):
        shutil.copy(run / "events" / "validation.tsv", run / "events" / name)
    shutil.copy(run / "scores" / "validation.h5", run / "scores" / "weak.tune.h5")
    (run / "points" / "validation").mkdir(parents=True)
    subject = RunSubject.open(run)
    assert subject.name == "one/seed0" and list(subject.files) == ["validation"]
    files = subject.files["validation"]
    assert files.scores == run / "scores" / "validation.h5" and files.events == run / "events" / "validation.tsv"
    assert files.points == run / "points" / "validation" and files.rules is None
    # Without results: those with events.
    shutil.rmtree(run / "results")
    assert list(RunSubject.open(run).files) == ["validation", "synthetic"]


def test_a_set_that_was_tuned_on_has_the_events_of_a_preset(run: Path) -> None:
    (run / "events" / "validation.tsv").rename(run / "events" / "validation.published.tsv")
    (run / "points" / "validation.published").mkdir(parents=True)
    files = RunSubject.open(run).files["validation"]
    assert files.events == run / "events" / "validation.published.tsv"
    assert files.points == run / "points" / "validation.published"


def test_names_with_points_are_sets_of_their_own(run: Path) -> None:
    """`snr0.5` is no preset `5` of a set `snr0`, where it has scores."""
    shutil.rmtree(run / "results")
    for name in ("snr0", "snr0.5"):
        shutil.copy(run / "scores" / "validation.h5", run / "scores" / f"{name}.h5")
        shutil.copy(run / "events" / "validation.tsv", run / "events" / f"{name}.published.tsv")
    files = RunSubject.open(run).files
    assert files["snr0.5"].events == run / "events" / "snr0.5.published.tsv"
    assert files["snr0"].events == run / "events" / "snr0.published.tsv"


def test_the_data_dir_is_that_of_the_results(run: Path, data: Path) -> None:
    data_dir = RunSubject.open(run).data_of("validation")
    assert data_dir is not None and data_dir.path == data


def test_the_data_dir_is_below_the_root_of_the_training(run: Path, data: Path) -> None:
    shutil.rmtree(run / "results")
    assert RunSubject.open(run).data_of("validation") is None
    write_json(run / "environment.json", {"data": str(data.parent), "place": str(run)})
    data_dir = RunSubject.open(run).data_of("validation")
    assert data_dir is not None and data_dir.path == data


def test_data_and_experiments_may_have_been_moved_together(run: Path, data: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "results")
    write_json(run / "environment.json", {"data": str(data.parent), "place": str(run)})
    new = tmp_path / "elsewhere"
    new.mkdir()
    for folder in ("data", "exp"):
        shutil.move(tmp_path / folder, new / folder)
    data_dir = RunSubject.open(new / "exp" / "one" / "seed0").data_of("validation")
    assert data_dir is not None and data_dir.path == new / "data" / "validation"


def test_what_scores_are_of_counts_and_not_a_folders_name(run: Path, data: Path, tmp_path: Path) -> None:
    """Events are decoded from scores whose stamp says that they are of `desed/validation`."""
    scores, events = run / "scores" / "validation.h5", run / "events" / "validation.tsv"
    Step("predict", scores, {}, facts={"of": [["desed/validation", None]]}).run(lambda: None)
    assert main(["decode", str(scores), "--out", str(events)]) == 0
    facts = {"dataset": "desed", "set": "validation", "role": "reported"}
    write_json(data / "set.json", facts | {"set": "other"})
    assert RunSubject.open(run).data_of("validation") is None
    shutil.copytree(data, data.with_name("renamed"))
    write_json(data.with_name("renamed") / "set.json", facts)
    renamed = DataDir(data.with_name("renamed"))
    subject = RunSubject.open(run)
    assert subject.data_of("validation", [renamed]) is renamed
    # The set keeps its name.
    assert list(subject.on([renamed]).files) == ["validation"]
    assert subject.on([renamed]).files["validation"].scores == scores


def test_outputs_made_elsewhere(run: Path, data: Path, tmp_path: Path) -> None:
    scores = shutil.copy(run / "scores" / "validation.h5", tmp_path / "theirs.h5")
    events = shutil.copy(run / "events" / "validation.tsv", tmp_path / "events.tsv")
    (given,) = [DataDir(data)]
    for path, kind in ((scores, "scores"), (events, "events")):
        (subject,) = open_runs([path], [given])
        assert not subject.is_folder and list(subject.files) == ["validation"]
        assert getattr(subject.files["validation"], kind) == path
        assert subject.data_of("validation", [given]) is given
        with pytest.raises(UsageError, match="is of one set: expected one data dir, got 2"):
            open_runs([path], [given, given])
    folder = tmp_path / "tsvs"
    call = ["decode", str(scores), "--scores-out", str(folder)]
    assert main(call) == 0
    (subject,) = open_runs([folder], [given])
    assert subject.files["validation"].scores == folder and not subject.is_folder


def test_a_data_dir_without_output_is_a_set_too(run: Path, tmp_path: Path) -> None:
    other = make_data(tmp_path / "data" / "public", CLIPS[:2], LABELS, ())
    (subject,) = open_runs([run], [DataDir(other)])
    assert list(subject.files) == ["public"] and not any(subject.files["public"])


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="nowhere: is not there, expected an experiment's folder"):
        RunSubject.open(tmp_path / "nowhere")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(SedkitError, match="is neither scores"):
        RunSubject.open(tmp_path / "a.wav")
    with pytest.raises(SedkitError, match="is no experiment"):
        RunSubject.open(tmp_path)


def test_sets_are_chosen_the_development_set_first(run: Path) -> None:
    shutil.rmtree(run / "results")
    for name in ("another", "public"):
        shutil.copy(run / "events" / "validation.tsv", run / "events" / f"{name}.tsv")
    subject = RunSubject.open(run)
    assert chosen_sets([subject]) == ["validation", "public", "another"]
    (one,) = open_runs([run], wanted=["public"])
    assert list(one.files) == ["public"]
    with pytest.raises(UsageError, match=r'--set pubic: no run has it \(did you mean "public"\?\)'):
        open_runs([run], wanted=["pubic"])


def test_other_scores_are_of_one_set_of_one_experiment(run: Path, data: Path, tmp_path: Path) -> None:
    other = shutil.copy(run / "scores" / "validation.h5", tmp_path / "other.h5")
    (subject,) = open_runs([run], scores=other)
    assert subject.files["validation"].scores == other
    assert subject.files["validation"].events == run / "events" / "validation.tsv"
    with pytest.raises(UsageError, match="--scores is of one set of one experiment, got 2 experiments and 1 sets"):
        open_runs([run, run], scores=other)


def test_runs_of_one_name_are_called_by_their_place(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "again" / "one" / "seed0")
    assert [one.name for one in open_runs([run, copy])] == [str(run), str(copy)]


def test_the_run_of_a_network_has_the_training_of_its_system(run: Path) -> None:
    teacher = run.parents[1] / "one@teacher" / "seed0"
    (teacher / "events").mkdir(parents=True)
    shutil.copy(run / "events" / "validation.tsv", teacher / "events")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.pt").write_bytes(b"")
    subject = RunSubject.open(teacher)
    assert subject.name == "one@teacher/seed0" and len(subject.history) == 3 and subject.has_network
    assert subject.files["validation"].events == teacher / "events" / "validation.tsv"
