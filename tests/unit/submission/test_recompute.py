"""Results that a meta file states are compared with those of the packaged output."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from submission_faults import in_meta
from submission_packages import CLIP_LIST, CLIPS, as_folder, as_zip, correct, events, meta
from submission_systems import LABELS, run

from sedkit.submission.check import examine_package
from sedkit.submission.findings import NOTE
from sedkit.submission.formats import get_format
from sedkit.submission.meta.write import meta_text


def test_results_are_recomputed(tmp_path: Path, authors: Path, report: Path) -> None:
    form = get_format("dcase2019")
    table = events(form, 3)
    for name in ("e.tsv", "ref.tsv"):
        (tmp_path / name).write_text(table)
    right = {"results": {"development_dataset": {"overall": {"F-score": 100.0}}}}
    used = {line.split("\t")[3] for line in table.splitlines()[1:]} - {""}
    right["results"]["development_dataset"]["class_wise"] = {
        name: {"F-score": 100.0 if name in used else 0.0} for name in LABELS
    }
    right["results"]["development_dataset"]["overall"]["F-score"] = 100.0
    described = meta(form, "Someone_ELSE_task4_4") | right
    for value, expected in ((100.0, []), (99.9, ["results_differ"])):
        right["results"]["development_dataset"]["overall"]["F-score"] = value
        (tmp_path / "m.yaml").write_text(meta_text(described))
        entry = f"{tmp_path / 'e.tsv'}:{tmp_path / 'm.yaml'}"
        words = ("--authors", authors, "--report", report, "--out", tmp_path / "out")
        run("pack", "--format", "dcase2019", "--system", entry, *words)
        zipped = tmp_path / "out/Okafor_UNI_task4.zip"
        kinds = [f.kind for f in examine_package(zipped, form, None, [tmp_path / "ref.tsv"]).findings]
        assert [k for k in kinds if k != "results_mean"] == expected
    (tmp_path / "ref.tsv").write_text("filename\tonset\toffset\tevent_label\nother.wav\t0.0\t1.0\tDog\n")
    kinds = [f.kind for f in examine_package(zipped, form, None, [tmp_path / "ref.tsv"]).findings]
    assert "results_not_recomputed" in kinds


def test_listed_clips_without_rows_count_as_listed(tmp_path: Path) -> None:
    """A third of the clips is silent and has no row: the list says that they were predicted."""
    form = get_format("dcase2021")
    files = correct("dcase2021")
    silent = {clip for i, clip in enumerate(CLIPS) if i % 4 == 0}
    lines = events(form, 1).splitlines(keepends=True)
    table = "".join(line for line in lines if line.split("\t")[0] not in silent)
    for name in [n for n in files if ".output" in n]:
        files[name] = table.encode()
    (tmp_path / "ref.tsv").write_text("".join(lines))
    path = as_zip(files, tmp_path / "p.zip")
    checked = examine_package(path, form, CLIP_LIST, [tmp_path / "ref.tsv"])
    said = [f for f in checked.findings if f.kind.startswith("results")]
    assert [f.kind for f in said] == ["results_differ", "results_differ"]
    meta_file = next(n for n in files if n.endswith(".yaml"))
    lines = files[meta_file].decode().splitlines()
    rows = [
        next(i for i, line in enumerate(lines, start=1) if line.startswith(f"      {k}:")) for k in ("F-score", "PSDS1")
    ]
    assert [(f.file, f.row) for f in said] == [(meta_file, row) for row in rows]
    assert "PSDS1 0.353 (recomputed 1.0000)" in said[1].message
    (finding,) = [
        f for f in examine_package(path, form, None, [tmp_path / "ref.tsv"]).findings if f.kind.startswith("results")
    ]
    assert (finding.severity, finding.kind) == (NOTE, "results_not_recomputed")
    assert "lists 9 of the 12 clips" in finding.message


@pytest.mark.parametrize(
    ("stated", "right"), [(35, True), (36, False), (35.0, False), (35.1, True), (35.07, True), (35.2, False)]
)
def test_percents_are_compared_to_the_decimals_that_are_stated(
    stated: float, right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"macro": {"f1": 0.3507}, "classes": {}}
    monkeypatch.setattr("sedkit.submission.stated.figures_of", lambda reference, metric, estimate: figures)
    files = correct("dcase2019")
    in_meta("results/development_dataset/overall/F-score", stated)(files, random.Random(0))
    (tmp_path / "ref.tsv").write_text(events(get_format("dcase2019"), 1))
    path = as_zip(files, tmp_path / "p.zip")
    checked = examine_package(path, get_format("dcase2019"), CLIP_LIST, [tmp_path / "ref.tsv"])
    said = [f.message.rpartition(": ")[2] for f in checked.findings if f.kind == "results_differ"]
    assert said == ([] if right else [f"overall {stated} (recomputed 35.07)"])
    assert [x.stated for x in checked.confirmed] == ([stated] if right else [])


def test_a_difference_names_the_row_of_its_key(tmp_path: Path) -> None:
    files = correct("dcase2019")
    (tmp_path / "ref.tsv").write_text(events(get_format("dcase2019"), 1))
    in_meta("results/development_dataset/overall/F-score", 100.0)(files, random.Random(0))
    path = as_zip(files, tmp_path / "p.zip")
    checked = examine_package(path, get_format("dcase2019"), CLIP_LIST, [tmp_path / "ref.tsv"])
    (found,) = [f for f in checked.findings if f.kind == "results_differ"]
    assert "overall" not in found.message
    lines = files[found.file].decode().splitlines()
    first = next(label for label in get_format("dcase2019").labels if f"{label} " in found.message)
    assert lines[found.row - 2].strip() == f"{first}:"
    assert lines[found.row - 1].strip().startswith("F-score:")


# ---------------------------------------------------------------------------------------------------- scores

#: Two recordings in clips of ten seconds, every five seconds; the second ends within a clip.


def test_subtask_b_has_no_figure_to_recompute(tmp_path: Path) -> None:
    as_folder(correct("dcase2023b"), tmp_path / "p")
    (tmp_path / "ref.tsv").write_text("filename\tonset\toffset\tevent_label\nclip_00.wav\t0.0\t1.0\tcar\n")
    checked = examine_package(tmp_path / "p", get_format("dcase2023b"), CLIP_LIST, [tmp_path / "ref.tsv"])
    assert [f.kind for f in checked.findings] == ["results_not_recomputed"]
