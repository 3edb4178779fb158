from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path
from sedkit.dataio.events import Events
from sedkit.dataio.references import content_hash, known_reference
from sedkit.dataio.tables import read_events

ROWS = [("f", 0.0, 1.0, "a"), ("g", 1.5, 2.25, "b"), ("empty", None, None, None)]


def test_the_hash_depends_on_content_not_on_row_order() -> None:
    same = content_hash(Events.from_rows(ROWS))
    assert content_hash(Events.from_rows(ROWS[::-1])) == same
    assert content_hash(Events.from_rows(ROWS, labels=("b", "a"))) == same
    others = [ROWS[:2], [*ROWS, ROWS[0]], [("f", 0.0, 1.001, "a"), *ROWS[1:]], [("f", 0.0, 1.0, "b"), *ROWS[1:]]]
    assert len({same, *(content_hash(Events.from_rows(rows)) for rows in others)}) == 5


def test_names_are_unique_and_point_to_each_other() -> None:
    entries = read_yaml(metadata_path("references.yaml"))["references"]
    names = [e["name"] for e in entries]
    assert len(set(names)) == len({e["sha256"] for e in entries}) == len(names)
    assert all(e.get("outdated_by", names[0]) in names for e in entries)


@pytest.mark.parametrize(
    ("file", "name", "outdated"),
    [
        ("metadata_true/eval_dcase2018.tsv.xz", "dcase2018_evaluation_2019-08", False),
        ("metadata_true/public.tsv.xz", "public_evaluation", False),
        ("metadata_true/synthetic_2019.tsv.xz", "synthetic_2019", False),
        ("metadata_true/test_dcase2018.tsv.xz", "dcase2018_test_2019-08", True),
        ("metadata_true/test_dcase2018_desed.tsv.xz", "dcase2018_test_desed", False),
        ("metadata_true/validation_2019.tsv.xz", "validation_2019", True),
        ("metadata_true/validation_desed.tsv.xz", "validation_desed", False),
        ("dcase2021_baseline/gt_validation.tsv", "validation_desed", False),
        ("dcase2018_baseline_eval/gt_eval_released_2018-10-10.csv", "dcase2018_evaluation_2018-10", True),
        ("dcase2018_baseline_eval/gt_eval_corrected_2019-08-19.csv", "dcase2018_evaluation_2019-08", False),
    ],
)
def test_official_ground_truths_are_recognised(
    shared: Path, tmp_path: Path, file: str, name: str, outdated: bool
) -> None:
    path = shared / "vectors" / file
    text = (lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()).decode()
    # Other line ends, another order of rows, and the last digits that the organisers' files of 2018 show (pandas'
    # parser of that time) are the same reference.
    table = pd.read_csv(io.StringIO(text), sep="\t", float_precision="legacy")
    assert np.any(table["onset"] != pd.read_csv(io.StringIO(text), sep="\t", float_precision="round_trip")["onset"])
    copy = tmp_path / "shuffled.csv"
    table.sample(frac=1, random_state=0).to_csv(copy, sep="\t", index=False, lineterminator="\r\n")
    known = known_reference(content_hash(read_events(copy)[0]))
    assert known is not None
    assert (known.name, known.outdated_by is not None) == (name, outdated)


def test_the_release_of_july_2018_is_the_later_one_with_rows_repeated(shared: Path) -> None:
    text = lzma.decompress((shared / "vectors/metadata_true/test_dcase2018.tsv.xz").read_bytes()).decode()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    table = Events.from_rows([(n, float(a), float(b), k) for n, a, b, k in [*rows, *rows[:15]]])
    known = known_reference(content_hash(table))
    assert known is not None
    assert known.name == "dcase2018_test_2018-07"
