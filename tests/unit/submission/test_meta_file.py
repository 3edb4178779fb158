"""Faults of the meta file, each with the row of its key."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from submission_faults import F1, Files, in_meta
from submission_packages import CLIP_LIST, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings, PackageFinding
from sedkit.submission.formats import get_format
from sedkit.submission.meta.people import is_example_author
from sedkit.submission.meta.read import parse_meta


def check(name: str, files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


def line_of(files: Files, text: str) -> int:
    """The only line that holds a text, from 1."""
    content = next(data for name, data in files.items() if name.endswith(".yaml")).decode()
    (found,) = [i for i, line in enumerate(content.splitlines(), start=1) if text in line]
    return found


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("system/description/input_sampling_rate", "32 kHz", "input_sampling_rate"),
        ("system/complexity/total_parameters", None, "total_parameters"),
        ("system/complexity/total_parameters", ..., "complexity:"),
        ("submission/abbreviation", "ConvolutionalNet", "abbreviation: Conv"),
        ("submission/label", "Someone_ELSE_task4_1", "label:"),
        ("submission/authors/1/firstname", ..., "- lastname: Berg"),
        (f"{F1}/class_wise/Frying/F-score", "n/a", "n/a"),
        (f"{F1}/overall/F-score", 325.0, "325.0"),
        (f"{F1}/class_wise", ..., "development_dataset:"),
    ],
)
def test_findings_name_the_row_of_the_key(path: str, value: object, text: str, tmp_path: Path) -> None:
    files = correct("dcase2019")
    in_meta(path, value)(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert found.row == line_of(files, text)


def test_what_a_field_wants_is_said(tmp_path: Path) -> None:
    files = correct("dcase2019")
    in_meta("system/source_code")(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert found.expected == "a text, or null (!!null) where there is none"


def test_rows_of_keys_through_lists_aliases_and_merges() -> None:
    findings = Findings()
    text = b"a: &x\n  b: 1\nc:\n- d: 2\n- <<: *x\n  e: 3\nf: *x\n"
    meta = parse_meta("m.yaml", text, findings)
    assert meta is not None
    assert meta.values == {"a": {"b": 1}, "c": [{"d": 2}, {"b": 1, "e": 3}], "f": {"b": 1}}
    assert [meta.row(path) for path in ("a", "a.b", "c.0.d", "c.1.e", "c.1.z", "f.b", "g")] == [1, 2, 4, 6, 5, 2, None]
    assert findings.sorted() == []


def test_a_repeated_key_names_both_rows() -> None:
    findings = Findings()
    meta = parse_meta("m.yaml", b"a:\n  b: 1\n  c: 2\n  b: 3\nd: 1\nd: 1\n", findings)
    assert meta is not None
    assert meta.values["a"]["b"] == 3
    first, second = findings.sorted()
    assert (first.severity, first.kind, first.row) == (SCORED_WRONGLY, "meta_key_twice", 4)
    assert first.message == "a.b stands twice, first in row 2; the last one is read"
    assert (second.severity, second.row) == (WARNING, 6)


def test_depth_counts_through_aliases() -> None:
    """Each level is an alias of the one below: shallow to look at, as deep as one likes when it is followed."""
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
    findings = Findings()
    assert parse_meta("m.yaml", text.encode(), findings) is None
    (found,) = findings.sorted()
    assert "nested more than 50 deep" in found.message


@pytest.mark.parametrize(
    ("author", "example"),
    [
        (
            {"lastname": "Doe", "firstname": "Maria", "email": "m.doe@uni.edu", "affiliation": {"abbreviation": "UNI"}},
            False,
        ),
        ({"lastname": "Doe", "firstname": "J", "email": "x@y"}, True),
        ({"lastname": "Doe", "firstname": "Jane", "email": "jane.doe@example.org"}, True),
        ({"lastname": "Okafor", "firstname": "Ada", "affiliation": {"abbreviation": "INST"}}, True),
        (
            {
                "lastname": "Okafor",
                "firstname": "Ada",
                "affiliation": [{"abbreviation": "A"}, {"abbreviation": "INST"}],
            },
            True,
        ),
        ({"lastname": "Lastname", "firstname": "Ada"}, True),
    ],
)
def test_example_authors(author: dict, example: bool) -> None:
    assert is_example_author(author) is example


def test_yes_as_text_is_warned_of(tmp_path: Path) -> None:
    files = correct("dcase2019")
    in_meta("submission/authors/0/corresponding", "yes")(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "author_corresponding")
    assert found.row == line_of(files, "corresponding: ")


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        (f"dcase{year}", REFUSED if year in ("2020", "2024") else WARNING)
        for year in ("2018", "2020", "2021", "2023", "2024")
    ],
)
def test_a_baseline_is_refused_where_a_validator_is_known(name: str, severity: str, tmp_path: Path) -> None:
    files = correct(name)
    in_meta("submission/name", "Our Baseline")(files, random.Random(0))
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind) == (severity, "baseline_name")


def test_an_author_is_named_as_written(tmp_path: Path) -> None:
    files = correct("dcase2019")
    in_meta("submission/authors/0/lastname", "Müller-O'Neil")(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind) == (NOTE, "label_author")
    assert found.message == "the label begins with Okafor, the corresponding author is Müller-O'Neil"
    assert found.expected == "Muller-ONeil_UNI_task4_1"


@pytest.mark.parametrize("change", ["missing", "misspelt"])
def test_the_mean_of_some_classes_is_no_fault_of_its_own(change: str, tmp_path: Path) -> None:
    def other(classes: dict) -> dict:
        lost = classes.pop("Vacuum_cleaner")
        return classes | ({"Vacuum cleaner": lost} if change == "misspelt" else {})

    files = correct("dcase2019")
    in_meta(f"{F1}/class_wise", change=other)(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "meta_classes")


def test_whole_percents_may_be_rounded(tmp_path: Path) -> None:
    files = correct("dcase2019")
    for overall, kinds in ((33, []), (33.0, ["results_mean"]), (35, ["results_mean"])):
        in_meta(f"{F1}/overall/F-score", overall)(files, random.Random(0))
        assert [f.kind for f in check("dcase2019", files, tmp_path)] == kinds


# ------------------------------------------------------------------------------------------------ separation

SEPARATION = {
    "ss_system": {"ensemble_method_subsystem_count": None, "source_code": None},
    "ss_results": {"FUSS": {"SI-SNRi": 12.5}},
}


def separated(name: str, path: str = "", value: object = ...) -> Files:
    """A package whose system separates sounds first, with one key of its blocks changed."""
    files = correct(name)
    for block, content in SEPARATION.items():
        in_meta(block, yaml.safe_load(yaml.safe_dump(content)))(files, random.Random(0))
    if path:
        in_meta(path, value)(files, random.Random(0))
    return files


@pytest.mark.parametrize("name", ["dcase2020", "dcase2021", "dcase2022"])
def test_a_separation_system_without_fault(name: str, tmp_path: Path) -> None:
    assert check(name, separated(name), tmp_path) == []
    tracked = separated(name)
    for block in ("system", "results"):
        data = next(n for n in tracked if n.endswith(".yaml"))
        tracked[data] = tracked[data].replace(f"\n{block}:\n".encode(), f"\nsed_{block}:\n".encode())
    assert b"\nsed_system:" in tracked[data]
    assert check(name, tracked, tmp_path) == []
    row = tracked[data].split(b"\n").index(b"  description:") + 2
    tracked[data] = tracked[data].replace(b"input_sampling_rate: 32", b"input_sampling_rate: 32000")
    (found,) = check(name, tracked, tmp_path)
    assert (found.kind, found.row) == ("sampling_rate_hz", row + 1)


@pytest.mark.parametrize(
    ("path", "value", "kind", "text"),
    [
        ("ss_system/ensemble_method_subsystem_count", "a few", "meta_field_type", "a few"),
        ("ss_system/source_code", ..., "meta_field_missing", "ss_system:"),
        ("ss_results", ..., "meta_block_missing", "ss_system:"),
        ("ss_results/FUSS/SI-SNRi", "12 dB", "meta_field_type", "12 dB"),
        ("ss_results/FUSS", 12.5, "meta_field_type", "FUSS"),
        (
            "ss_system/source_code",
            "https://github.com/google-research/sound-separation/tree/master/models/dcase2020_fuss_baseline",
            "source_code_example",
            "fuss_baseline",
        ),
    ],
)
def test_faults_of_a_separation_system(path: str, value: object, kind: str, text: str, tmp_path: Path) -> None:
    files = separated("dcase2020", path, value)
    (found,) = check("dcase2020", files, tmp_path)
    assert (found.severity, found.kind, found.row) == (REFUSED, kind, line_of(files, text))
    if kind not in ("source_code_example", "meta_field_missing"):
        (found,) = check("dcase2021", separated("dcase2021", path, value), tmp_path)
        assert (found.severity, found.kind) == (WARNING, kind), "no validator of 2021 is known"


def test_a_separation_label_without_its_block(tmp_path: Path) -> None:
    files = {
        n.replace("_SED_", "_SS_SED_"): d.replace(b"_SED_1", b"_SS_SED_1") for n, d in correct("dcase2020").items()
    }
    (found,) = check("dcase2020", files, tmp_path)
    assert (found.severity, found.kind) == (NOTE, "separation_absent")


# ------------------------------------------------------------------------------------------------ energy


@pytest.mark.parametrize("name", ["dcase2022", "dcase2023a", "dcase2024"])
def test_energy_of_the_baseline_and_tables_are_asked_for_since_2022(name: str, tmp_path: Path) -> None:
    files = correct(name)
    in_meta("system/complexity/energy_baseline")(files, random.Random(0))
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind) == (NOTE, "baseline_kwh_absent")
    assert "training, devtest_inference of the organisers' baseline on the same hardware" in found.message
    in_meta("system/complexity/energy/training", None)(files, random.Random(0))
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "energy_absent")
    assert "baseline on the same hardware" in found.message
    files = {n: data for n, data in correct(name).items() if "codecarbon" not in n}
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind) == (NOTE, "energy_files")
