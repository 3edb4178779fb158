"""Score folders beside each other, without a list, with a wrong one; sizes that nobody needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from submission_faults import Files
from submission_packages import CLIP_LIST, CLIPS, as_folder, as_zip, correct

from sedkit.submission import check as check_module
from sedkit.submission.check import check_package
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, PackageFinding
from sedkit.submission.formats import Format, dcase2024, get_format
from sedkit.submission.outputs import of_system, score_tables

FORM = get_format("dcase2023a")
LABEL = "Okafor_UNI_task4a_1"


def check(files: Files, folder: Path, clips: ClipList | None = None, form: Format = FORM) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), form, clips)


def in_run(files: Files, part: str) -> list[str]:
    return [name for name in files if f"{part}.output/" in name]


def test_clips_of_the_runs_are_compared_without_a_list(tmp_path: Path) -> None:
    assert check(correct("dcase2023a"), tmp_path) == []
    files = correct("dcase2023a")
    for name in in_run(files, "_run1")[:6]:
        del files[name]
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind, found.file) == (REFUSED, "clips_differ", f"{LABEL}/{LABEL}_run1.output")
    assert "6 missing (clip_00, clip_01, clip_02 and 3 more)" in found.message
    files = correct("dcase2023a")
    for name in in_run(files, "_run2_unprocessed"):
        files[name.replace("clip_", "eval_")] = files.pop(name)
    (found,) = check(files, tmp_path)
    assert (found.kind, found.file) == ("clips_differ", f"{LABEL}/{LABEL}_run2_unprocessed.output")
    assert "12 missing (clip_00" in found.message
    assert "12 that others have not (eval_00" in found.message


def test_times_in_milliseconds_are_refused_without_a_list(tmp_path: Path) -> None:
    for name in ("dcase2023a", "dcase2023b", "dcase2024"):
        files = correct(name)
        for table in [n for n in files if n.endswith("clip_03.tsv")]:
            head, *rows = [line.split("\t") for line in files[table].decode().splitlines()]
            rows = [[f"{1000 * int(row[0])}", f"{1000 * int(row[1])}", *row[2:]] for row in rows]
            files[table] = ("\n".join("\t".join(row) for row in [head, *rows]) + "\n").encode()
        found = check(files, tmp_path, form=get_format(name))
        assert {(f.severity, f.kind, f.row) for f in found} == {(REFUSED, "windows_end", 11)}
        assert "the windows end at 10000 s" in found[0].message
        assert {f.severity for f in check(files, tmp_path, CLIP_LIST, get_format(name))} == {SCORED_WRONGLY}


def test_a_fault_of_every_table_is_summed_up_by_folder(tmp_path: Path) -> None:
    files = correct("dcase2023a")
    for name in in_run(files, "_run1"):
        for i in range(5):
            files[name.replace("clip_", f"clip_{i}")] = files[name].replace(b"\n", b"\r\n")
        del files[name]
    found = [f for f in check(files, tmp_path) if f.kind == "line_ends"]
    assert [(f.file, f.row, f.count) for f in found] == [(f"{LABEL}/{LABEL}_run1.output/clip_000.tsv", 1, 60)]


def test_the_number_of_clips_of_2024(tmp_path: Path) -> None:
    """Exactly 2200, whatever list is given."""
    form = dcase2024.FORMAT
    found = check(correct("dcase2024"), tmp_path, form=form)
    assert {(f.severity, f.kind) for f in found} == {(REFUSED, "clip_count")}
    assert [f.count for f in found] == [6], "one fault in six folders is one finding"
    assert (found[0].message, found[0].expected) == ("12 tables", "2200, one per clip")
    (finding,) = check(correct("dcase2024"), tmp_path, CLIP_LIST, form)
    assert (finding.severity, finding.kind) == (REFUSED, "list_count")
    assert "the list names 12 clips" in finding.message
    assert form.scores is not None
    small = replace(form, scores=replace(form.scores, clips=len(CLIPS)))
    assert check(correct("dcase2024"), tmp_path, CLIP_LIST, small) == check(correct("dcase2024"), tmp_path, None, small)


@pytest.mark.parametrize(
    ("name", "ending", "module", "limit"),
    [
        ("dcase2019", ".output.csv", of_system, "MOST_BYTES"),
        ("dcase2021", "_th_0.01.tsv", of_system, "MOST_BYTES"),
        ("dcase2021", ".meta.yaml", check_module, "MOST_BYTES"),
        ("dcase2023a", "_run1.output/clip_03.tsv", score_tables, "_MOST_BYTES"),
    ],
)
def test_tables_that_would_exhaust_their_reader(
    name: str, ending: str, module: object, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = correct(name)
    table = next(n for n in files if n.endswith(ending))
    largest = max(len(data) for n, data in files.items() if not n.endswith(".pdf"))
    files[table] += b"\n" * (largest - len(files[table]) + 1)
    monkeypatch.setattr(module, limit, largest)
    for path in (as_zip(files, tmp_path / "p.zip"), as_folder(files, tmp_path / "folder")):
        (found,) = check_package(path, get_format(name), CLIP_LIST)
        assert (found.severity, found.kind, found.file) == (REFUSED, "too_large", table)
        assert f"{largest + 1:,} bytes" in found.message


def test_times_past_the_longest_clip_of_tables_without_a_list(tmp_path: Path) -> None:
    files = correct("dcase2019")
    table = next(n for n in files if n.endswith(".output.csv"))
    files[table] += b"clip_00.wav\t11.2\t11.5\tDog\nB1.WAV\t0.0\t1.0\tDog\nb2.flac\t0.0\t1.0\tDog\n"
    files[table] = files[table].replace(b"clip_00.wav\t\t\t\n", b"")
    past, upper = sorted(check(files, tmp_path, form=get_format("dcase2019")), key=lambda f: f.row or 0)
    assert (past.severity, past.kind) == (WARNING, "time_past_clip")
    assert "a false positive without any chance to sed_eval, nothing to psds_eval" in past.message
    assert (upper.severity, upper.kind, upper.count) == (WARNING, "clip_name", 2)
    assert "named .wav" in upper.message
