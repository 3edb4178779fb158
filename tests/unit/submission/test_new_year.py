"""The example of docs/submissions.md: a year's format that one new file brings."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from submission_packages import as_zip, correct, meta
from submission_systems import run, written

from sedkit.core.errors import UsageError
from sedkit.submission import formats
from sedkit.submission.formats import format_names, get_format
from sedkit.submission.meta.write import meta_text

NAME = "sedkit.submission.formats.kitchens2030"


@pytest.fixture(autouse=True)
def _example(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "new"
    folder.mkdir()
    text = (repository / "docs/submissions.md").read_text(encoding="utf-8").split("### Adding a year")[1]
    (folder / "kitchens2030.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    yield
    sys.modules.pop(NAME, None)
    if hasattr(formats, "kitchens2030"):
        del formats.kitchens2030


def test_it_is_known_by_its_name(repository: Path) -> None:
    assert "kitchens2030" in format_names()
    form = get_format("kitchens2030")
    assert form.label("Doe", "INST", 2) == "Doe_INST_kitchens_2"
    assert (form.energy, form.points, form.scores) == (False, None, None)
    with pytest.raises(UsageError, match=r'did you mean "kitchens2030"\?'):
        get_format("kitchens2O30")


def test_a_system_is_packed_as_the_page_says(tmp_path: Path, complete: tuple[object, ...]) -> None:
    form = get_format("kitchens2030")
    described = meta(form, "Someone_ELSE_kitchens_1")
    described["system"]["description"]["microphone"] = "near"
    (tmp_path / "m.yaml").write_text(meta_text(described))
    (tmp_path / "e.tsv").write_text("filename\tonset\toffset\tevent_label\nclip_01.wav\t1.0\t2.5\tkettle\n")
    entry = f"{tmp_path / 'e.tsv'}:{tmp_path / 'm.yaml'}"
    assert run("pack", "--format", "kitchens2030", "--system", entry, *complete) == 0
    label = "Okafor_UNI_kitchens_1"
    (archive,) = (tmp_path / "out").glob("*.zip")
    names = zipfile.ZipFile(archive).namelist()
    assert f"{label}/{label}.events.tsv" in names and f"{label}/{label}.meta.yaml" in names
    assert written(tmp_path / "out")["system"]["description"]["microphone"] == "near"
    # Of another year's classes nothing may be handed in.
    (tmp_path / "e.tsv").write_text("filename\tonset\toffset\tevent_label\nclip_01.wav\t1.0\t2.5\tDog\n")
    assert run("pack", "--format", "kitchens2030", "--system", entry, *complete) == 1


@pytest.mark.parametrize(
    ("old", "new", "status", "said"),
    [
        ("", "", 0, "warning: 1"),  # of the figures, which are no mean
        ("\tknife", "\tspoon", 1, "unknown class 'spoon'"),
        ("microphone: near", "microphone: null", 1, "system.description.microphone"),
        ("Okafor_UNI_kitchens_1", "Okafor_UNI_task4_1", 0, "expected <Lastname>_<INSTITUTE>_kitchens_<1-2>"),
        ("Okafor_UNI_kitchens_1", "Example_ORG_kitchens_1", 1, "refused: 1"),
    ],
)
def test_a_package_is_held_against_it(
    old: str, new: str, status: int, said: str, tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {}
    for name, data in correct("kitchens2030").items():
        if not name.endswith(".pdf"):
            text = data.decode().replace("microphone: null", "microphone: near")
            data = (text.replace(old, new) if old else text).encode()
        files[name.replace(old, new) if old else name] = data
    package = as_zip(files, tmp_path / "p.zip")
    assert run("check", package, "--format", "kitchens2030", "--files", clips) == status
    assert said in capsys.readouterr().out


def test_more_systems_than_declared_and_overlaps_are_refused(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = correct("kitchens2030", systems=3)
    table = next(name for name in files if name.endswith(".events.tsv"))
    files[table] += b"clip_00.wav\t1.0\t2.0\ttap\nclip_00.wav\t1.5\t2.5\ttap\n"
    assert run("check", as_zip(files, tmp_path / "p.zip"), "--format", "kitchens2030", "--files", clips) == 1
    printed = capsys.readouterr().out
    assert "overlap" in printed and "at most 2" in printed


def test_other_years_know_it_by_sight(tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zipped = as_zip(correct("kitchens2030"), tmp_path / "p.zip")
    assert run("check", zipped, "--format", "dcase2019", "--files", clips) == 1
    assert "looks like a package of kitchens2030" in capsys.readouterr().out
