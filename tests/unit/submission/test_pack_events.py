"""Packing event tables of any maker: what goes beside them, what they are called, how they are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from submission_packages import meta
from submission_systems import codecarbon, results, run, written

from sedkit.submission.formats import get_format
from sedkit.submission.pack.sources import name_of_file


def test_events_made_elsewhere_carry_tables_of_codecarbon_and_results(
    tmp_path: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    complete: tuple[object, ...],
    elsewhere: Callable[..., str],
) -> None:
    described = meta(get_format("dcase2022"), "Someone_ELSE_task4_4")
    described["system"]["complexity"]["energy"] = dict.fromkeys(described["system"]["complexity"]["energy"])
    entry = elsewhere("dcase2022", described)
    table = codecarbon(tmp_path, "training", 1.39)
    (tmp_path / "r.json").write_text(json.dumps(results(f1=0.4)))
    more = ("--codecarbon", f"training:{table}", "--results", tmp_path / "r.json")
    run("pack", "--format", "dcase2022", "--system", entry, *more, *complete)
    packed = written(tmp_path / "out")
    assert packed["system"]["complexity"]["energy"]["training"] == 1.39
    assert packed["results"]["development_dataset"]["overall"]["F-score"] == 40.0
    (copied,) = (tmp_path / "out").glob("*/codecarbon/training.csv")
    assert copied.read_bytes() == table.read_bytes()
    for words in (more[:2], more[2:]):
        assert run("pack", "--format", "dcase2022", "--system", entry, entry, *words, *complete) == 2
        assert f"{words[0]} is that of one system, got 2" in capsys.readouterr().err
    assert run("pack", "--format", "dcase2019", "--system", entry, *more[:2], *complete) == 2
    assert "dcase2019 asks for no energy" in capsys.readouterr().err


def test_errors_advise_no_option_that_pack_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    (tmp_path / "e.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t2.0\t1.0\tDog\n")
    assert run("pack", "--format", "dcase2019", "--system", tmp_path / "e.tsv", *bare) == 1
    said = capsys.readouterr().err
    assert "; correct the row" in said and "lenient" not in said


def test_what_is_called_after_a_set_is_named_after_its_folder() -> None:
    for path, name in (("ens/evaluation.h5", "ens"), ("a/exp/events/public.tsv", "exp"), ("ens/fused.h5", "fused")):
        assert name_of_file(path) == name
