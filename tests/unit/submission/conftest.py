"""Makes the helpers beside this file, and training's fake data, importable, whatever pytest's import mode."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sedkit.core.files import write_yaml
from sedkit.submission.formats import dcase2024

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from submission_packages import CLIPS, PEOPLE, pdf


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
def clips(tmp_path: Path) -> Path:
    (tmp_path / "list.tsv").write_text("filename\tduration\n" + "".join(f"{c}\t10.0\n" for c in CLIPS))
    return tmp_path / "list.tsv"
