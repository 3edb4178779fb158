"""`refused` is what the organisers' scripts turn away, and nothing else that they let pass."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from script_oracles import stops
from submission_faults import F1, Files, in_meta, relabel
from submission_packages import CLIP_LIST, as_folder, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, PackageFinding
from sedkit.submission.formats import get_format

_YEARS = {2020: "dcase2020", 2024: "dcase2024"}


def package(year: int) -> Files:
    files = correct(_YEARS[year])
    return {n: d for n, d in files.items() if "_PSDS/" not in n and ("_run" not in n or "clip_00" in n)}


def check(files: Files, folder: Path, year: int) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(_YEARS[year]))


def meta_name(files: Files) -> str:
    return next(n for n in files if n.endswith(".meta.yaml"))


_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 0.0, 1.0, 48.0, 0.48, -0.5, float("nan"), float("inf"), 10**30, "text", "", "0.5"),
    *([], {}, ["log-mel energies"], ["mfcc", 3], {"a": 1}, [None]),
]
_COMMON = (
    *("submission/label", "submission/name", "submission/abbreviation", "submission/authors"),
    *("submission/authors/0", "submission/authors/0/firstname", "submission/authors/1/lastname"),
    *("submission/authors/0/corresponding", "submission/authors/0/email", "submission/authors/1/affiliation"),
    *("system/description/input_sampling_rate", "system/description/acoustic_features", "system/source_code"),
    *("system/complexity/total_parameters", "system/description/ensemble_method_subsystem_count", "system"),
    *("system/description", "system/complexity", "submission", "results"),
)
_OWN = {
    2020: (f"{F1}/overall/F-score", f"{F1}/class_wise/Cat/F-score", f"{F1}/class_wise/Cat", f"{F1}/class_wise", F1),
    2024: ("results/devtest/desed/PSDS1", "results/devtest/maestro/mPAUC", "results/devtest/maestro"),
}


@pytest.mark.parametrize(("year", "path"), [(year, path) for year in _YEARS for path in (*_COMMON, *_OWN[year])])
def test_a_value_is_refused_where_the_script_stops_at_it(year: int, path: str, tmp_path: Path) -> None:
    for value in (..., *_VALUES):
        files = package(year)
        in_meta(path, value)(files, random.Random(0))
        found = check(files, tmp_path, year)
        refused = [f for f in found if f.severity == REFUSED]
        assert bool(refused) == stops(year, files), (value, found)


_SECOND = {"system": {"description": {"input_sampling_rate": 16}}, "results": {}}


@pytest.mark.parametrize(
    ("blocks", "refused"),
    [
        ({"sed_system": {"description": {}}, "sed_results": {}}, True),
        ({"sed_system": 3}, True),
        ({"sed_system": None}, False),
        ({"sed_results": {}}, False),
        ({"ss_system": {"ensemble_method_subsystem_count": 0, "source_code": None}, "ss_results": {}}, False),
        ({"ss_system": {"ensemble_method_subsystem_count": "two", "source_code": None}, "ss_results": {}}, True),
    ],
)
def test_every_system_that_a_file_describes_is_looked_at_in_2020(
    blocks: dict[str, Any], refused: bool, tmp_path: Path
) -> None:
    files = package(2020)
    files[meta_name(files)] += yaml.safe_dump(blocks).encode()
    assert stops(2020, files) == refused
    assert any(f.severity == REFUSED for f in check(files, tmp_path, 2020)) == refused


def test_a_whole_second_system_is_no_fault_in_2020(tmp_path: Path) -> None:
    files = package(2020)
    meta = yaml.safe_load(files[meta_name(files)])
    files[meta_name(files)] += yaml.safe_dump({f"sed_{key}": meta[key] for key in ("system", "results")}).encode()
    assert not stops(2020, files)
    assert not [f for f in check(files, tmp_path, 2020) if f.severity == REFUSED]
    meta["results"]["development_dataset"]["class_wise"]["Cat"] = 30.0
    files = package(2020) | {"x": b""}
    files[meta_name(files)] += yaml.safe_dump({f"sed_{key}": meta[key] for key in ("system", "results")}).encode()
    assert stops(2020, files)
    (found,) = [f for f in check(files, tmp_path, 2020) if f.severity == REFUSED]
    assert found.kind == "meta_field_type"
    assert "class_wise.Cat is 30.0" in found.message


def test_only_the_tracks_system_wants_the_tracks_results(tmp_path: Path) -> None:
    """`sed_system` with plain `results`: the script looks for `sed_results`."""
    files = package(2020)
    name = meta_name(files)
    files[name] = files[name].replace(b"\nsystem:\n", b"\nsed_system:\n")
    assert stops(2020, files)
    (found,) = [f for f in check(files, tmp_path, 2020) if f.severity == REFUSED]
    assert (found.kind, found.message) == ("meta_block_missing", "no block sed_results")


@pytest.mark.parametrize(
    ("extra", "value"),
    [("Overall", 30.0), ("Overall", {"F-score": 30.0}), ("Overall", {"F-score": "x"}), (3, [1]), ("Speech ", None)],
)
def test_a_class_too_many_in_2020(extra: Any, value: Any, tmp_path: Path) -> None:
    files = package(2020)
    in_meta(f"{F1}/class_wise", change=lambda classes: classes | {extra: value})(files, random.Random(0))
    refused = [f for f in check(files, tmp_path, 2020) if f.severity == REFUSED]
    assert bool(refused) == stops(2020, files)
    assert all(f.kind == "meta_field_type" for f in refused)


@pytest.mark.parametrize("place", ["code/config.yaml", "{label}/notes.yaml", "docs/.hidden.yaml", "code/deep/x.yaml"])
@pytest.mark.parametrize("content", [b"a: 1\n", b": [\n", b"", None])
def test_every_yaml_file_is_loaded_in_2020(place: str, content: bytes | None, tmp_path: Path) -> None:
    files = package(2020)
    label = meta_name(files).partition("/")[0]
    files[place.format(label=label)] = files[meta_name(files)] if content is None else content
    found = check(files, tmp_path, 2020)
    refused = [f for f in found if f.severity == REFUSED]
    assert bool(refused) == stops(2020, files), found
    assert [f.kind for f in refused] == ["extra_yaml"] * len(refused)
    assert len(found) > 0


@pytest.mark.parametrize(
    "extra",
    [
        "__MACOSX/._x",
        "code/a.py",
        "codecarbon/emissions.csv",
        ".git/HEAD",
        "docs/more.pdf",
        "a_b_c/x",
        "a_b_c_d/x",
        "src/c.yaml",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_beside_the_systems_stops_the_script_of_2024(extra: str, zipped: bool, tmp_path: Path) -> None:
    files = package(2024) | {extra: b"1"}
    assert stops(2024, files)
    path = as_zip(files, tmp_path / "p.zip") if zipped else as_folder(files, tmp_path / "p")
    refused = [f for f in check_package(path, get_format("dcase2024")) if f.severity == REFUSED]
    assert [f.file.rstrip("/") for f in refused] == [extra.partition("/")[0]] * len(refused)
    assert refused
    other = check_package(as_zip(correct("dcase2019") | {extra: b"1"}, tmp_path / "q.zip"), get_format("dcase2019"))
    assert not [f for f in other if f.severity == REFUSED and f.kind in ("extra_folder", "stray_file")]


@pytest.mark.parametrize(
    "label", ["Doe_INST_taks4_1", "Doe_INST_4_1", "Doe_I.N_task4_1", "Doe_A_INST_task4_1", "Doe_INST_task4_9"]
)
def test_labels_of_2024_have_four_parts(label: str, tmp_path: Path) -> None:
    files = package(2024)
    relabel(lambda _: label)(files, random.Random(0))
    found = [f for f in check(files, tmp_path, 2024) if f.kind in ("label_pattern", "label_number")]
    assert {f.severity for f in found} == {REFUSED if stops(2024, files) else WARNING}


@pytest.mark.parametrize(
    "label",
    [
        *("Rykaczewski_Samsung_taks4_SED_1", "Kim_AiTeR_GIST_SED_1", "Hou_IPS_task4_1", "Okafor_task4_SED_1", "Okafor"),
        *("okafor_uni_TASK4_sed_1", "Okafor_UNI_task4_SED_12"),
    ],
)
def test_labels_that_no_rule_describes_were_ranked_in_2020(label: str, tmp_path: Path) -> None:
    files = package(2020)
    relabel(lambda _: label)(files, random.Random(0))
    assert not stops(2020, files)
    found = check(files, tmp_path, 2020)
    assert WARNING in {f.severity for f in found}
    assert not {REFUSED, SCORED_WRONGLY} & {f.severity for f in found}


def test_percent_for_fractions_of_2024(tmp_path: Path) -> None:
    files = package(2024)
    in_meta("results/devtest/desed/PSDS1", 48.2)(files, random.Random(0))
    assert not stops(2024, files)
    (found,) = [f for f in check(files, tmp_path, 2024) if f.kind == "fraction_as_percent"]
    assert found.severity == SCORED_WRONGLY
    assert "looks like percent" in found.message


def test_corresponding_false_is_an_answer_to_the_scripts(tmp_path: Path) -> None:
    files = package(2020)
    for i in (0, 1):
        in_meta(f"submission/authors/{i}/corresponding", False)(files, random.Random(0))
    assert not stops(2020, files)
    (found,) = check_package(as_zip(files, tmp_path / "p.zip"), get_format("dcase2020"), CLIP_LIST)[:1]
    assert (found.severity, found.kind) == (WARNING, "author_corresponding")
    in_meta("submission/authors/0/corresponding", True)(files, random.Random(0))
    assert "author_corresponding" not in [f.kind for f in check(files, tmp_path, 2020)]
