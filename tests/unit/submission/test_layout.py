"""Where the systems of a package lie: found under any name, and said so where the organisers' script would not look."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submission_faults import Files, relabel
from submission_packages import CLIP_LIST, as_folder, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Findings, PackageFinding, as_text
from sedkit.submission.formats import get_format
from sedkit.submission.layout import find_layout

FORM = get_format("dcase2019")
LABEL = "Okafor_UNI_task4_1"


def check(files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), FORM, CLIP_LIST)


def parts(findings: list[PackageFinding]) -> list[tuple[str, str, str]]:
    return [(f.severity, f.kind, f.file) for f in findings]


def test_a_badly_named_system_is_seen_beside_a_good_one(tmp_path: Path) -> None:
    files = correct("dcase2019", 2)
    second = "Okafor_UNI_task4_2"
    bad = {name: data for name, data in files.items() if second not in name}
    bad["X_task4_2/X_task4_2.csv"] = files[f"{second}/{second}.output.csv"]
    bad["X_task4_2/X_task4_2.yaml"] = files[f"{second}/{second}.meta.yaml"]
    assert parts(check(bad, tmp_path)) == [
        (WARNING, "label_pattern", "X_task4_2"),
        (WARNING, "output_name", "X_task4_2/X_task4_2.csv"),
        (WARNING, "label_not_folder", "X_task4_2/X_task4_2.yaml"),
        (WARNING, "meta_name", "X_task4_2/X_task4_2.yaml"),
    ]
    del bad["X_task4_2/X_task4_2.csv"], bad["X_task4_2/X_task4_2.yaml"]
    bad["mine/results.csv"] = files[f"{second}/{second}.output.csv"]
    bad["mine/info.txt"] = b"we trained a network"
    # A table alone may be anything.
    assert parts(check(bad, tmp_path)) == [(WARNING, "extra_folder", "mine")]
    # A folder that only its name tells to be a system's.
    files = correct("dcase2019") | {f"{second}/model.pt": b"x"}
    assert parts(check(files, tmp_path)) == [
        (REFUSED, "meta_missing", second),
        (REFUSED, "output_missing", second),
        (WARNING, "extra_file", f"{second}/model.pt"),
    ]


def test_systems_without_any_proper_name(tmp_path: Path) -> None:
    files = correct("dcase2019")
    bare = {name: data for name, data in files.items() if name.endswith(".pdf")}
    bare["mine/info.yaml"] = files[f"{LABEL}/{LABEL}.meta.yaml"]
    bare["mine/out.csv"] = files[f"{LABEL}/{LABEL}.output.csv"]
    assert {(kind, file) for _, kind, file in parts(check(bare, tmp_path))} == {
        ("label_pattern", "mine"),
        ("meta_name", "mine/info.yaml"),
        ("label_not_folder", "mine/info.yaml"),
        ("output_name", "mine/out.csv"),
    }
    assert parts(check({"report.pdf": b"x", "a/b/c.bin": b"x"}, tmp_path))[0] == (REFUSED, "no_system", "")
    assert (REFUSED, "no_folder", "") in parts(check({"X.output/report.pdf": b"x"}, tmp_path))


def test_a_zip_without_the_folder_is_one_finding(tmp_path: Path) -> None:
    files = {name.split("/")[-1]: data for name, data in correct("dcase2019").items()}
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind) == (REFUSED, "no_folder")
    assert found.expected == f"{LABEL}/{LABEL}.…"


def test_nested_packages_and_copies(tmp_path: Path) -> None:
    files = correct("dcase2019", 2)
    # The report at the top, the systems in a folder of their own: one finding, not one a system.
    moved = {(f"systems/{n}" if "/" in n else n): data for n, data in files.items()}
    (found,) = check(moved, tmp_path)
    assert (found.severity, found.kind, found.file) == (REFUSED, "nested", "systems")
    # One system alone too deep.
    moved = {(f"more/{n}" if n.startswith("Okafor_UNI_task4_2") else n): data for n, data in files.items()}
    (found,) = check(moved, tmp_path)
    assert (found.kind, found.file) == ("nested", "more")
    # A folder of the system's name around the system's folder.
    moved = {(f"{n.split('/')[0]}/{n}" if "/" in n else n): data for n, data in correct("dcase2019").items()}
    (found,) = check(moved, tmp_path)
    assert (found.kind, found.file) == ("nested", LABEL)
    # A copy within the system's own folder is an extra folder.
    inner = {f"{LABEL}/backup/{n.split('/')[-1]}": d for n, d in correct("dcase2019").items() if "/" in n}
    (found,) = check(correct("dcase2019") | inner, tmp_path)
    assert (found.severity, found.kind, found.file) == (WARNING, "extra_folder", f"{LABEL}/backup")


def test_copies_are_no_systems_too_many(tmp_path: Path) -> None:
    files = correct("dcase2019", 4)
    copies = {f"copy/{n}": data for n, data in files.items() if "/" in n}
    assert [kind for _, kind, _ in parts(check(files | copies, tmp_path))] == ["label_twice"] * 4


def test_rubbish_is_summed_up_by_folder(tmp_path: Path) -> None:
    junk = {f"__MACOSX/{LABEL}/._{i}": b"x" for i in range(50)} | {f"{LABEL}/.DS_Store": b"x", "Thumbs.db": b"x"}
    found = check(correct("dcase2019") | junk, tmp_path)
    assert parts(found) == [
        (NOTE, "stray_file", f"{LABEL}/.DS_Store"),
        (NOTE, "stray_file", "Thumbs.db"),
        (NOTE, "stray_file", "__MACOSX/"),
    ]
    assert "50 files" in next(f.message for f in found if f.file == "__MACOSX/")


def test_many_strange_files_are_few_findings(tmp_path: Path) -> None:
    files = correct("dcase2019") | {f"note{i}": b"" for i in range(50)} | {f"f{i}/x": b"" for i in range(50)}
    found = check(files, tmp_path)
    assert [(f.severity, f.kind, f.file, f.count) for f in found] == [
        (WARNING, "extra_folder", "f0", 50),
        (WARNING, "extra_file", "note0", 50),
    ]


def test_fifty_thousand_folders_take_seconds() -> None:
    """Each file is looked up by the folders above it; going through all folders for each would take half an hour."""
    systems = [f"Okafor_UNI_task4_{i}" for i in range(25_000)]
    names = [f"{label}/{label}.output.csv" for label in systems] + [f"docs{i}/a/b.txt" for i in range(25_000)]
    findings = Findings()
    layout = find_layout(names, None, FORM, findings)
    assert sorted(system.label for system in layout.systems) == sorted(systems)
    assert all(system.files == [f"{system.label}/{system.label}.output.csv"] for system in layout.systems)
    (found,) = findings.sorted()
    assert (found.file, found.count) == ("docs0", 25_000)


def test_what_the_organisers_script_leaves_is_no_fault(tmp_path: Path) -> None:
    assert check(correct("dcase2019") | {"validated": b"Submission validated"}, tmp_path) == []


_PARTS = ("", LABEL, "Okafor_UNI_task4_2", "X.output", "codecarbon", "a", f"{LABEL}.output_PSDS", "__MACOSX", "docs")


@given(
    st.lists(st.tuples(*[st.sampled_from(_PARTS)] * 3), min_size=3, max_size=3),
    st.sampled_from(["", "x.csv", "y.yaml"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_in_whatever_folders_are_findings_never_an_error(
    tmp_path: Path, places: list[tuple[str, str, str]], more: str
) -> None:
    files = {}
    for (name, data), way in zip(correct("dcase2019").items(), places, strict=True):
        files["/".join([*filter(None, way), name.split("/")[-1]])] = data
        if more:
            files["/".join([*filter(None, way), more])] = b"a: 1"
    found = check(files, tmp_path)
    good = places[0] == ("", "", "") and all("".join(way) == LABEL for way in places[1:]) and not more
    assert good == (not found)


@pytest.mark.parametrize("name", ["dcase2019", "dcase2021", "dcase2023a"])
def test_a_single_folder_is_taken_by_its_name(name: str, tmp_path: Path) -> None:
    files = correct(name)
    folder = as_folder(files, tmp_path) / next(n for n in files if "/" in n).split("/")[0]
    (found,) = check_package(folder, get_format(name), CLIP_LIST)
    assert (found.severity, found.kind) == (WARNING, "report_missing")
    (folder / "report.pdf").write_bytes(next(data for n, data in files.items() if n.endswith(".pdf")))
    (found,) = check_package(folder, get_format(name), CLIP_LIST)
    assert (found.severity, found.kind, found.file) == (WARNING, "report_place", "report.pdf")


def test_a_misspelt_label_is_a_system_still(tmp_path: Path) -> None:
    files = correct("dcase2019")
    relabel(lambda x: x.replace("_task4_", "_taks4_"))(files, random.Random(0))
    assert [kind for _, kind, _ in parts(check(files, tmp_path))] == ["label_pattern"]


@pytest.mark.parametrize(
    ("names", "kind", "said"),
    [
        ([f"{LABEL}\\{LABEL}.meta.yaml", f"{LABEL}\\x.csv"], "zip_backslash", "2 names hold backslashes"),
        (["a\\..\\..\\x"], "zip_unsafe_path", "leaves the folder"),
        ([f"{LABEL}/x", f"{LABEL}/x/y"], "zip_file_and_folder", "a file and a folder at once"),
        (["a/" * 30_000 + "x"], "zip_too_deep", "lies 30,000 folders deep"),
        (["x/", "x"], "zip_file_and_folder", "a file and a folder at once"),
    ],
)
def test_zips_that_cannot_be_unpacked_as_meant(names: list[str], kind: str, said: str, tmp_path: Path) -> None:
    (found,) = check(correct("dcase2019") | dict.fromkeys(names, b"1"), tmp_path)
    assert (found.severity, found.kind) == (REFUSED, kind)
    assert said in found.message


@pytest.mark.parametrize("zipped", [True, False])
def test_an_empty_folder_named_as_a_system_is_one_without_files(zipped: bool, tmp_path: Path) -> None:
    second = "Okafor_UNI_task4_2"
    files, wanted = correct("dcase2019"), [(REFUSED, "meta_missing", second), (REFUSED, "output_missing", second)]
    if zipped:
        entries = {f"{LABEL}/": b"", f"{second}/": b"", "__MACOSX/": b"", "docs/": b"", f"{LABEL}/codecarbon/": b""}
        assert parts(check(files | entries, tmp_path)) == [*wanted, (WARNING, "extra_folder", "docs")]
    else:
        folder = as_folder(files, tmp_path / "p")
        for name in (second, "docs", f"{LABEL}/codecarbon"):
            (folder / name).mkdir()
        assert parts(check_package(folder, FORM, CLIP_LIST)) == [*wanted, (WARNING, "extra_folder", "docs")]
    alone = {name: data for name, data in files.items() if name.endswith(".pdf")} | {f"{LABEL}/": b""}
    assert [kind for _, kind, _ in parts(check(alone, tmp_path))] == ["meta_missing", "output_missing"]


def test_the_zip_that_pack_leaves_is_no_fault(tmp_path: Path) -> None:
    files = correct("dcase2019", 2)
    folder = as_folder(files | {"Okafor_UNI_task4.zip": b"PK"}, tmp_path / "out")
    assert check_package(folder, FORM, CLIP_LIST) == []
    inner = check(files | {"Okafor_UNI_task4.zip": b"PK"}, tmp_path)
    assert parts(inner) == [(WARNING, "extra_file", "Okafor_UNI_task4.zip")]
    (folder / "Okafor_UNI_task5.zip").write_bytes(b"PK")
    assert parts(check_package(folder, FORM, CLIP_LIST)) == [(WARNING, "extra_file", "Okafor_UNI_task5.zip")]


def test_what_systems_have_alike_is_printed_once() -> None:
    twice = [PackageFinding(WARNING, "report_missing", "", None, "no technical report")] * 2
    assert as_text(twice).splitlines() == ["warning: 1", "  no technical report  [report_missing]"]


@pytest.mark.parametrize(
    ("new", "kind", "said"),
    [
        ("Okafor_UNI_taks4_1", "label_pattern", "files are named after 'Okafor_UNI_task4_1'"),
        ("Okafor_UNI_task4_2", "folder_name", "folder 'Okafor_UNI_task4_2' are named after 'Okafor_UNI_task4_1'"),
    ],
)
@pytest.mark.parametrize("name", ["dcase2019", "dcase2024"])
def test_a_renamed_folder_is_one_fault(name: str, new: str, kind: str, said: str, tmp_path: Path) -> None:
    files = {n.replace(f"{LABEL}/", f"{new}/", 1): data for n, data in correct(name).items()}
    (found,) = check_package(as_zip(files, tmp_path / "p.zip"), get_format(name), CLIP_LIST)
    severity = REFUSED if name == "dcase2024" else WARNING
    assert (found.severity, found.kind, found.file) == (severity, kind, new)
    assert said in found.message


def test_letters_of_a_label_are_ascii(tmp_path: Path) -> None:
    files = correct("dcase2019")
    relabel(lambda x: x.replace("Okafor", "Müller"))(files, random.Random(0))
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "label_pattern")
    assert "holds letters that are not ASCII" in found.message
    assert found.expected.endswith("for example Muller_UNI_task4_1")


def test_run_folders_in_a_folder_carry_a_label_too(tmp_path: Path) -> None:
    """A folder of another name, with the runs in a folder of their own: its files are looked at under their label."""
    files = {}
    for name, data in correct("dcase2024").items():
        home, _, rest = name.partition("/")
        place = f"{home}/{rest}" if "_run1.output/" in rest else rest
        files[f"docs/{place}" if rest else name] = data
    found = check_package(as_zip(files, tmp_path / "p.zip"), get_format("dcase2024"), CLIP_LIST)
    assert (REFUSED, "label_pattern", "docs") in parts(found)
    assert "where its files are named after 'Okafor_UNI_task4_1'" in next(
        f.message for f in found if f.kind == "label_pattern"
    )
