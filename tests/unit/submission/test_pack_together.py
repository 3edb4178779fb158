"""Several systems in one zip, and zips whose development results are not official ones."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from submission_packages import meta
from submission_systems import experiment, found, results, run, scores

from sedkit.dataio.store import write_scores
from sedkit.submission.formats import get_format
from sedkit.submission.meta.write import meta_text


def systems_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return sorted({name.split("/")[0] for name in archive.namelist() if "/" in name})


@pytest.fixture
def pack_one(tmp_path: Path, authors: Path, report: Path, clips: Path) -> Callable[..., int]:
    """Packs one system of 2023 B by its number."""
    form = get_format("dcase2023b")

    def pack(number: int, *words: object, out: str = "out") -> int:
        write_scores(tmp_path / f"s{number}.h5", scores(number, form.labels))
        (tmp_path / "m.yaml").write_text(meta_text(meta(form, "Someone_ELSE_task4b_4")))
        given = ("--scores", tmp_path / f"s{number}.h5", "--meta", tmp_path / "m.yaml", "--authors", authors)
        label = ("--label", f"Okafor_UNI_task4b_{number}", "--report", report, "--files", clips)
        return run("pack", "--format", "dcase2023b", *given, *label, "--out", tmp_path / out, *words)

    return pack


def test_systems_of_several_calls_in_one_zip(
    tmp_path: Path, clips: Path, pack_one: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    zipped = tmp_path / "out" / "Okafor_UNI_task4b.zip"
    first, second, third = (f"Okafor_UNI_task4b_{i}" for i in (1, 2, 3))
    assert pack_one(1) == 0
    capsys.readouterr()
    assert pack_one(2) == 0
    assert f"not in the zip (--add true takes them in), from earlier calls: {first}\n" in capsys.readouterr().err
    assert systems_in(zipped) == [second]
    assert pack_one(3, "--add", "true") == 0
    assert f"also in the zip, from earlier calls: {first}, {second}\n" in capsys.readouterr().err
    assert systems_in(zipped) == [first, second, third]
    assert run("check", zipped, "--format", "dcase2023b", "--files", clips) == 0
    # The order of the calls is no input.
    for number in (3, 1, 2):
        assert pack_one(number, "--add", "true", out="other") == 0
    assert (tmp_path / "other" / zipped.name).read_bytes() == zipped.read_bytes()


def test_a_system_of_an_earlier_call_that_would_be_refused(
    tmp_path: Path, pack_one: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    pack_one(1)
    (tmp_path / "out/Okafor_UNI_task4b_1/Okafor_UNI_task4b_1.meta.yaml").unlink()
    assert pack_one(2, "--add", "true") == 1
    said = capsys.readouterr().err
    assert "Okafor_UNI_task4b_1: no meta file" in said
    assert "no zip: the package would be refused" in said
    assert not list((tmp_path / "out").glob("*.zip"))
    assert pack_one(2) == 0, "by itself it passes"


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"known_as": None, "clips": 60}, "the reference is not an official one (a miniature, or data of your own)"),
        ({"known_as": "validation_desed/subset"}, "only a subset of the classes of validation_desed was scored"),
        ({"known_as": "public_evaluation"}, "public_evaluation is no development set"),
        ({"partial": True, "coverage": 0.5, "clips": 100}, "the set is partial (50 of 100 clips)"),
    ],
)
def test_development_results_that_are_not_official_are_told(
    change: dict[str, object],
    remark: str,
    tmp_path: Path,
    report: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    bare: tuple[object, ...],
) -> None:
    exp, out = experiment(tmp_path / "exp"), tmp_path / "out"
    content = results(f1=0.4)
    for key, value in change.items():
        content.setdefault("estimate" if key in ("partial", "coverage") else "reference", {})[key] = value
    file = exp / "results" / "validation.json"
    words = ("pack", "--format", "dcase2019", "--experiment", exp, *bare, "--files", clips)
    for official in (True, False):
        file.write_text(json.dumps(results(f1=0.4) if official else content))
        assert run(*words, "--report", report) == 0
        said = capsys.readouterr().err
        zipped = out / "Okafor_UNI_task4.zip"
        assert zipped.is_file()
        lines = [
            f"warning: {file}: stated as development results, but {remark}",
            f"warning: {zipped} is complete, but the development results of Okafor_UNI_task4_1 "
            f"are not official: {remark}",
        ]
        assert [line for line in said.splitlines() if "development" in line] == ([] if official else lines)
    written = next(out.glob("*/*.meta.yaml")).read_text()
    assert written.startswith(f"# Development results: {remark}\nsubmission:\n")
    assert yaml.safe_load(written)["results"]["development_dataset"]["overall"]["F-score"] == 40.0
    # The validators cut comments: nothing is found.
    assert found(zipped, "dcase2019", clips) == ""
    # Without a zip there is the one line.
    run(*words)
    said = capsys.readouterr().err
    assert lines[0] in said and "is complete" not in said


def test_the_same_output_twice_is_told(
    tmp_path: Path,
    bare: tuple[object, ...],
    elsewhere: Callable[..., str],
    pack_one: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = elsewhere("dcase2019")
    (tmp_path / "copy.tsv").write_bytes((tmp_path / "e.tsv").read_bytes())
    (tmp_path / "other.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t0.0\t1.0\tDog\n")
    for second, told in (("copy.tsv", 1), ("other.tsv", 0)):
        run("pack", "--format", "dcase2019", "--system", entry, f"{tmp_path / second}:{tmp_path / 'm.yaml'}", *bare)
        said = capsys.readouterr().err
        assert said.count("Okafor_UNI_task4_2: the same output as Okafor_UNI_task4_1") == told
    # Scores of earlier calls count where they go into the zip.
    pack_one(1, out="more")
    earlier = tmp_path / "more" / "Okafor_UNI_task4b_1"
    for file in [*earlier.rglob("*")][::-1]:
        file.rename(file.with_name(file.name.replace("task4b_1", "task4b_2")))
    earlier.rename(earlier.with_name("Okafor_UNI_task4b_2"))
    for add, told in (("false", 0), ("true", 1)):
        pack_one(1, "--add", add, out="more")
        assert capsys.readouterr().err.count("Okafor_UNI_task4b_1: the same output as Okafor_UNI_task4b_2") == told
