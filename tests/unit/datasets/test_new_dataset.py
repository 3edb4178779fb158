"""The example of docs/data.md: a data set that one new file brings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from desed_layouts import clip, open_sets

from sedkit import datasets
from sedkit.cli.main import main
from sedkit.datasets.registry import DATASETS

NAME = "sedkit.datasets.kitchens"


@pytest.fixture(autouse=True)
def _example(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    DATASETS.names()
    folder = tmp_path / "new"
    folder.mkdir()
    text = (repository / "docs/data.md").read_text(encoding="utf-8")
    (folder / "kitchens.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(folder)])
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    yield
    sys.modules.pop(NAME, None)
    if hasattr(datasets, "kitchens"):
        del datasets.kitchens


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """24 clips with events and 20 with tags in 11 homes, 2 plain ones, 2 to report on; one of each table is away."""
    root = tmp_path / "kitchens"
    events, tags = ["start,end,file,sound,home"], ["file,sounds,home"]
    for i in range(25):
        events += [f"0.1,0.2,e{i}.wav,{('kettle', 'knife', 'tap')[i % 3]},h{i // 3}"]
        events += [f"0.2,0.4,e{i}.wav,tap,h{i // 3}"] if i % 3 == 0 else []
    for i in range(21):
        tags.append(f'''t{i}.wav,"{"kettle,tap" if i % 2 else "knife"}",h{i // 2}''')
    for i in range(24):
        clip(root / f"near/events/e{i}.wav")
    for i in range(20):
        clip(root / f"near/tags/t{i}.wav")
    for name in ("near/plain/b.wav", "near/plain/a.wav", "near/test/x.wav", "near/test/y.wav", "far/events/e0.wav"):
        clip(root / name)
    (root / "events.csv").write_text("\n".join(events) + "\n")
    (root / "tags.csv").write_text("\n".join(tags) + "\n")
    (root / "test.csv").write_text("file,start,end,sound,home\nx.wav,0.0,0.3,knife,h90\n")
    return root


def _prepare(root: Path, out: Path, *words: str) -> int:
    return main(["prepare", "kitchens", str(root), str(out), "--jobs", "1", *words])


def test_the_data_set_of_the_page_is_prepared(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _prepare(root, out) == 0
    lines = ["events: 24/25 clips", "tags: 20/21 clips", "plain: 2/2 clips", "test: 2/2 clips"]
    assert capsys.readouterr().out.splitlines() == lines
    sets = open_sets(out)
    assert {name: data.role for name, data in sets.items()} == {
        **dict.fromkeys(("events", "tags", "plain"), "training"),
        "test": "reported",
    }
    assert json.loads((out / "test/set.json").read_text()) == {"dataset": "kitchens", "set": "test", "role": "reported"}
    assert sets["tags"].identity == "kitchens/tags"
    assert all(data.labels.labels == ("kettle", "knife", "tap") for data in sets.values())
    assert sets["events"].missing() == ("e24.wav",)
    assert sets["events"].strong().n_events == 24 + 8
    assert sets["events"].weak().present[0].tolist() == [True, False, True]
    assert sets["tags"].weak().present[:2].tolist() == [[False, True, False], [True, False, True]]
    assert not sets["tags"].has_strong and not sets["plain"].has_weak
    # Audio without a row is a clip without events.
    assert sets["test"].clips.filename == ("x.wav", "y.wav")
    assert sets["test"].strong().n_events == 1


def test_homes_are_groups_that_no_split_parts(root: Path, out: Path) -> None:
    assert _prepare(root, out) == 0
    sets = open_sets(out)
    events, tags, plain, test = (sets[name].clips for name in ("events", "tags", "plain", "test"))
    assert events.group is not None and events.fold is not None and tags.group is not None and tags.fold is not None
    assert events.group == tuple(f"h{i // 3}" for i in range(24))
    fold: dict[str, set[str]] = {}
    pairs = (*zip(events.group, events.fold, strict=True), *zip(tags.group, tags.fold, strict=True))
    for home, part in pairs:
        fold.setdefault(home, set()).add(part)
    assert all(len(parts) == 1 for parts in fold.values())
    assert set(events.fold) == {"train", "select", "tune"}
    assert plain.fold == ("train", "train")
    assert (test.fold, test.group) == (None, ("h90", ""))


def test_a_home_on_both_sides_is_refused(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "test.csv").write_text("file,start,end,sound,home\nx.wav,0.0,0.3,knife,h2\n")
    assert _prepare(root, out) == 1
    error = capsys.readouterr().err
    # Three clips with events and two with tags were recorded in home 2.
    assert "5 training clips share a recording with the reported side: recording h2 is in" in error
    assert str(root / "near/events/e6.wav") in error and str(root / "near/test/x.wav") in error
    assert not out.exists()
    assert _prepare(root, out, "--lenient", "true") == 0
    assert len(open_sets(out)["events"].clips) == 21


def test_a_wrong_row_is_named(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = root / "events.csv"
    table.write_text(table.read_text() + "0.1,0.2,e3.wav,tab,h1\n")
    row = len(table.read_text().splitlines())
    assert _prepare(root, out) == 1
    assert f"{table}:{row}: unknown label 'tab' (did you mean \"tap\"" in capsys.readouterr().err
    table.write_text(table.read_text().replace("e3.wav,tab,h1", "e3.wav,tap,h7"))
    assert _prepare(root, out) == 1
    assert (
        f"{table}:{row}: home 'h7' of e3.wav, which has 'h1' elsewhere; expected one a clip" in capsys.readouterr().err
    )
    assert _prepare(root, out, "--lenient", "true") == 0
    assert open_sets(out)["events"].strong().n_events == 24 + 8 + 1
    table.write_text(table.read_text().replace("start", "begin", 1))
    assert _prepare(root, out) == 1
    assert f"{table}:1: no column start" in capsys.readouterr().err


def test_its_option_is_its_own(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _prepare(root, out, "--coverage-only", "true", "--microphone", "far") == 0
    assert capsys.readouterr().out.splitlines() == ["events: 1/25 clips", "tags: 0/21 clips", "test: 0/1 clips"]
    assert _prepare(root, out, "--microphone", "middle") == 2
    assert main(["prepare", "desed", str(root), str(out), "--microphone", "far"]) == 2
    assert "--microphone far: desed has no such option, only kitchens" in capsys.readouterr().err
    assert _prepare(root, out, "--evaluation", str(root)) == 2
    assert _prepare(root / "nowhere", out) == 2
    assert _prepare(root / "near", out) == 1
    assert (
        "expected near/ and far/ and events.csv of Kitchens, found events, plain, tags, test" in capsys.readouterr().err
    )


def test_a_word_is_no_place(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _prepare(root, out, "--microphone", "near") == 0
    # Here `near` is a folder too.
    monkeypatch.chdir(root)
    assert _prepare(root, out, "--microphone", "near") == 0
    assert "is up to date" in capsys.readouterr().err
    assert _prepare(root, out, "--microphone", "far") == 0
    assert "is up to date" not in capsys.readouterr().err


def test_it_can_be_downloaded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["download", "kitchen", str(tmp_path / "x")]) == 2
    assert 'did you mean "kitchens"' in capsys.readouterr().err
    assert main(["download", "kitchens", str(tmp_path / "x"), "--parts", "some"]) == 2
    assert "kitchens has no part 'some'; there are all" in capsys.readouterr().err
