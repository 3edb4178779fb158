"""A fold that is held out: which folds a run trains and selects on, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data import config, make_set

from sedkit.core.errors import SedkitError, UsageError
from sedkit.training.plan import Plan

FOLDS = ("1", "1-select", "2", "2-select", "3", "3")
DATA = {
    "held_out": "2",
    "streams": {"mix": {"set": "mix", "labels": {"target": "clip"}}},
    "select": {"mix": {"set": "mix", "folds": ["select"]}},
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    make_set(tmp_path, "mix", 12, 0, FOLDS)
    return tmp_path


def plan_of(root: Path, **changes: object) -> Plan:
    data = {**DATA, **changes}
    return Plan(config(data=data, run={"fold": 2, "snr_db": 10}), root, root / "exp")


def test_train_and_select_are_the_other_folds(mixed: Path) -> None:
    plan = plan_of(mixed)
    plan.check()
    # Three clips of fold 3, which has no selection part.
    assert plan.saw() == {
        "trained": [["fake/mix", "1"], ["fake/mix", "3"]],
        "selected": [["fake/mix", "1-select"]],
    }
    assert (plan.run_info()["fold"], plan.run_info()["snr_db"]) == (2, 10)


def test_a_fold_that_is_held_out_is_not_trained_on(mixed: Path) -> None:
    for fold in ("2", "2-select"):
        streams = {"mix": {"set": "mix", "folds": ["1", fold], "labels": {"target": "clip"}}}
        with pytest.raises(UsageError, match=f"data.streams.mix.folds: {fold} is held out"):
            plan_of(mixed, streams=streams).check()


def test_what_is_not_there_is_said(mixed: Path) -> None:
    with pytest.raises(UsageError, match="data.held_out is '7', mix has the folds 1, 1-select, 2"):
        plan_of(mixed, held_out="7").check()
    with pytest.raises(SedkitError, match="no fold 'tune'"):
        plan_of(mixed, select={"mix": {"set": "mix", "folds": ["tune"]}}).check()
    with pytest.raises(UsageError, match="expected some of them to be named, or one to be data.held_out"):
        plan_of(mixed, held_out=None).check()
