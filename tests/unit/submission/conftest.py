"""Makes the helpers here and above importable, whatever pytest's import mode; what every package is made with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sedkit.core.files import write_yaml
from sedkit.dataio.store import write_scores
from sedkit.submission.formats import dcase2024, get_format
from sedkit.submission.pack.meta import meta_text

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from submission_packages import CLIPS, PEOPLE, events, meta, pdf
from submission_systems import run, scores, unprocessed


@pytest.fixture(autouse=True)
def small_set_of_2024(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of six times 2200 tables take minutes; the number has tests of its own, on `dcase2024.FORMAT`."""
    form = dcase2024.FORMAT
    assert form.scores is not None
    monkeypatch.setattr(dcase2024, "FORMATS", (replace(form, scores=replace(form.scores, clips=None)),))


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    write_yaml(tmp_path / "authors.yaml", {"authors": PEOPLE})
    return tmp_path / "authors.yaml"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report.pdf").write_bytes(pdf())
    return tmp_path / "report.pdf"


@pytest.fixture
def bare(authors: Path, tmp_path: Path) -> tuple[object, ...]:
    """What no call of `sedkit pack` goes without."""
    return ("--authors", authors, "--out", tmp_path / "out")


@pytest.fixture
def complete(bare: tuple[object, ...], report: Path, clips: Path) -> tuple[object, ...]:
    """What a call of `sedkit pack` needs for a zip."""
    return (*bare, "--report", report, "--files", clips)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., str]:
    """Writes events and a meta file made elsewhere, e.tsv and m.yaml; returns what `--system` takes of them."""

    def write(name: str, described: Mapping[str, Any] | None = None) -> str:
        form = get_format(name)
        (tmp_path / "e.tsv").write_text(events(form, 3))
        (tmp_path / "m.yaml").write_text(meta_text(dict(described or meta(form, form.label("Someone", "ELSE", 4)))))
        return f"{tmp_path / 'e.tsv'}:{tmp_path / 'm.yaml'}"

    return write


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (tmp_path / "list.tsv").write_text("filename\tduration\n" + "".join(f"{c}\t10.0\n" for c in CLIPS))
    return tmp_path / "list.tsv"


@pytest.fixture
def foreign(tmp_path: Path, complete: tuple[object, ...]) -> Callable[..., tuple[int, Path]]:
    """Packs foreign scores of a year, with a meta file that states these energies; returns status and meta file."""

    def pack(name: str, *words: object, **energy: float | None) -> tuple[int, Path]:
        form, out = get_format(name), tmp_path / "out"
        files = []
        for i in range(3):
            files.append(tmp_path / f"scores{i}.h5")
            write_scores(files[-1], scores(i, form.labels))
        described = meta(form, "Someone_ELSE_task4_4")
        stated = described["system"]["complexity"]["energy"]
        described["system"]["complexity"]["energy"] = {key: energy.get(key) for key in stated}
        described["system"]["complexity"]["energy_baseline"] = {"training": 0.5, "devtest_inference": 0.25}
        (tmp_path / "m.yaml").write_text(meta_text(described))
        given = ("--scores", *files, "--unprocessed", *unprocessed(files), "--meta", tmp_path / "m.yaml")
        status = run("pack", "--format", name, *given, *complete, *words)
        return status, next(out.glob("*/*.meta.yaml"), out)

    return pack
