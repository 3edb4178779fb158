"""Results files as the comparison reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from results_files import results, save

from sedkit.core.errors import UsageError
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.evaluation.maestro import MAESTRO_EVALUATED
from sedkit.leaderboard.runs import load_runs
from sedkit.submission.formats._format import MAESTRO_CLASSES


def test_the_partial_area_is_the_mean_of_the_evaluated_classes(tmp_path: Path) -> None:
    listed = Vocabulary.read(metadata_path("classes", "maestro_evaluated.txt")).labels
    assert listed == MAESTRO_EVALUATED, "what `sedkit score --labels` takes"
    areas = dict.fromkeys(MAESTRO_CLASSES, 0.9) | dict.fromkeys(listed, 0.7)
    block = {"parameters": {"segment_s": 1.0, "max_fpr": 0.1}, "value": 0.77, "interval": [0.7, 0.8], "classes": areas}

    def area(**change: object) -> Any:
        path = save(tmp_path / "r.json", {"reference": {"known_as": None}, "segment_auc": block | change})
        (value,) = (v for v in load_runs([path])[0].values() if v.quantity.metric == "mpauc")
        return value

    assert area().value == pytest.approx(0.7)
    assert area().interval is None and area().reasons == (), "the interval is about all 17"
    of_eleven = area(value=0.7, classes=dict.fromkeys(listed, 0.7))
    assert of_eleven.value == 0.7 and of_eleven.interval == (0.7, 0.8)
    other = area(classes=areas | {"car": None})
    assert other.value == 0.77 and "other classes than MAESTRO's evaluated ones" in other.reasons[0]


def test_stamps_beside_results_are_skipped(tmp_path: Path) -> None:
    path = save(tmp_path / "r.json", results())
    stamp = save(tmp_path / "r.json.done.json", {"verb": "score"})
    assert [run.path for run in load_runs([path, stamp])] == [path]
    with pytest.raises(UsageError, match="stamps of finished steps only"):
        load_runs([stamp])
