"""The author file, and what is stated of systems in it and in configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from submission_packages import PEOPLE, events
from submission_systems import experiment, run, written

from sedkit.cli.main import main
from sedkit.core.files import read_yaml, write_yaml
from sedkit.submission.authors import read_authors
from sedkit.submission.formats import get_format


def test_the_example_is_read(repository: Path, tmp_path: Path) -> None:
    path = repository / "submissions" / "authors.example.yaml"
    assert read_authors(path).example
    # What stands there as a comment reads back, too.
    above, below = path.read_text().split("# systems:\n")
    uncommented = "".join(line.removeprefix("# ") for line in below.splitlines(keepends=True))
    (tmp_path / "a.yaml").write_text(f"{above}systems:\n{uncommented}")
    assert read_authors(tmp_path / "a.yaml").systems["cnn9_weak"]["submission.abbreviation"] == "CNN9"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"authors": []}, "expected a list of authors"),
        ({"authors": PEOPLE, "sytems": {}}, 'did you mean "systems"?'),
        ({"authors": [{"lastname": "X"}]}, "author 1: key 'firstname' is missing"),
        ({"authors": PEOPLE, "systems": {"a": {"nam": "x"}}}, "systems.a: unknown key 'nam' (did you mean \"name\"?)"),
        ({"authors": PEOPLE, "systems": ["a"]}, "key 'systems': Expected dict"),
        ({"authors": PEOPLE, "systems": {"a": [1]}}, "systems.a: got [1], expected a mapping"),
        (
            {"authors": PEOPLE, "systems": {"a": {"name": 5}}},
            "systems.a: key 'name': Expected str or null. Got value: 5",
        ),
        ({"authors": PEOPLE, "systems": {"a": {"description": "x"}}}, "systems.a: key 'description': Expected dict"),
        (
            {"authors": PEOPLE, "systems": {"a": {"description": {"decision_makin": "x"}}}},
            'did you mean "decision_making"?',
        ),
        ({"authors": PEOPLE, "source_code": ["x"]}, "key 'source_code': Expected str or null. Got value: ['x']"),
        ({"authors": [PEOPLE[0] | {"corespondng": True}]}, 'did you mean "corresponding"?'),
        (
            {"authors": [PEOPLE[0] | {"corresponding": "yes please"}]},
            "author 1: key 'corresponding': Expected a bool. Got value: yes please",
        ),
        ({"authors": [PEOPLE[0] | {"affiliation": "UNI"}]}, "affiliation: got 'UNI', expected a mapping"),
        ({"authors": [PEOPLE[0] | {"affiliation": {"abbrev": "UNI"}}]}, "unknown key 'abbrev'"),
    ],
)
def test_bad_author_files_are_one_line(
    content: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.yaml"
    write_yaml(path, content)
    words = ("pack", "--format", "dcase2019", "--experiment", experiment(tmp_path / "exp"))
    assert run(*words, "--authors", path, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith(f"sedkit pack: error: {path}") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_systems_of_the_author_file_that_are_not_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    words = ("pack", "--format", "dcase2019", "--experiment", experiment(tmp_path / "exp"), "--authors", path)
    words = (*words, "--out", tmp_path / "out")
    for systems, message in (
        ({"typo": {}}, "systems.typo is not packed; packed: cnn9_weak"),
        ({"cnn9_waek": {}}, 'systems.cnn9_waek is not packed (did you mean "cnn9_weak"?)'),
        ({"cnn9_waek": {}, "other": {}}, 'did you mean "cnn9_weak"?'),
    ):
        write_yaml(path, {"authors": PEOPLE, "systems": systems})
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
        assert not (tmp_path / "out").exists()
    # One file for all systems of a team serves calls that pack some of them.
    write_yaml(path, {"authors": PEOPLE, "systems": {"cnn9_weak": {"name": "N"}, "cnn9_weak_2": {"name": "M"}}})
    run(*words)
    assert "a.yaml: not packed, so not used: systems.cnn9_weak_2" in capsys.readouterr().err
    assert written(tmp_path / "out")["submission"]["name"] == "N"


def test_what_is_stated_goes_before_what_is_found(tmp_path: Path) -> None:
    exp = experiment(tmp_path / "exp")
    stated = {"name": "Of the configuration", "abbreviation": "CONF", "source_code": "https://uni.edu/conf"}
    stated |= {"description": {"embeddings": "PANNs", "post-processing": "by hand"}}
    write_yaml(exp / "config.yaml", read_yaml(exp / "config.yaml") | {"submission": stated})
    content: dict[str, Any] = {"authors": PEOPLE, "source_code": "https://uni.edu/all"}
    words = ("pack", "--format", "dcase2019", "--authors", tmp_path / "a.yaml", "--out", tmp_path / "out")

    def packed(*what: object) -> dict[str, Any]:
        write_yaml(tmp_path / "a.yaml", content)
        run(*words, *what)
        return written(tmp_path / "out")

    meta = packed("--experiment", exp)
    assert meta["submission"]["name"] == "Of the configuration"
    assert meta["system"]["source_code"] == "https://uni.edu/conf"
    assert meta["system"]["description"]["embeddings"] == "PANNs"
    assert meta["system"]["description"]["post-processing"] == "by hand"
    content["systems"] = {"cnn9_weak": {"name": "Of the authors", "description": {"embeddings": None}}}
    meta = packed("--experiment", exp)
    assert (meta["submission"]["name"], meta["submission"]["abbreviation"]) == ("Of the authors", "CONF")
    assert meta["system"]["description"]["embeddings"] is None
    assert meta["system"]["description"]["post-processing"] == "by hand"
    # A system made elsewhere goes by the name of its table.
    (tmp_path / "e.tsv").write_text(events(get_format("dcase2019"), 1))
    content["systems"] = {"e": {"name": "Of the authors, too", "external_datasets": ["AudioSet"]}}
    meta = packed("--system", tmp_path / "e.tsv")
    assert meta["submission"]["name"] == "Of the authors, too"
    assert meta["system"]["external_datasets"] == ["AudioSet"]
    assert meta["system"]["source_code"] == "https://uni.edu/all"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"nam": "x"}, "config.yaml: submission: unknown key 'nam' (did you mean \"name\"?)"),
        ({"description": {"embedings": "x"}}, "submission: description: unknown key 'embedings' (did you mean"),
        (["x"], "config.yaml: submission: got ['x'], expected a mapping"),
    ],
)
def test_unknown_keys_of_the_section_submission(
    section: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    exp = experiment(tmp_path / "exp")
    write_yaml(exp / "config.yaml", read_yaml(exp / "config.yaml") | {"submission": section})
    words = ("pack", "--format", "dcase2019", "--experiment", exp, *bare)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_no_experiment(tmp_path: Path, bare: tuple[object, ...]) -> None:
    words = ("--experiment", tmp_path, *bare)
    assert run("pack", "--format", "dcase2019", *words) == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--label", "Doe_INST_task4_1"), 0, ""),
        (("--label", "mine"), 2, "--label 'mine': expected"),
        (("--label", "Doe_INST_task4_9"), 2, "at most 4 systems"),
        (("--report", "none.pdf"), 1, "none.pdf: no such file, expected the technical report"),
    ],
)
def test_authors_label_and_report_are_checked_alone(
    repository: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    authors = str(repository / "submissions/authors.example.yaml")
    call = ["pack", "--format", "dcase2019", "--authors", authors, "--out", str(tmp_path / "out")]
    assert main([*call, *words, "--check-config", "true"]) == status
    said = capsys.readouterr().err
    assert (message in said if message else said == "") and not (tmp_path / "out").exists()
