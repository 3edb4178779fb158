"""Soft labels in tables: a column `confidence`, and the label tracks of MAESTRO Real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import tags_of
from sedkit.dataio.tables import joined, read_strong, write_events

#: The first lines of the true set's cafe_restaurant_14.txt, then one of a mean that came out above 1.
TRACK = (
    "0.0\t1.0\tcutlery and dishes\t0.22607917138849756\n"
    "0.0\t1.0\tfootsteps\t0.12977944582818704\n"
    "1.0\t2.0\tfootsteps\t1.0000000000000002\n"
)
TABLE = (
    "filename\tonset\toffset\tevent_label\tconfidence\na.wav\t1\t2\tcar\t0.75\na.wav\t0\t1\tcar\t0.5\nb.wav\t\t\t\t\n"
)


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_label_track_of_the_data_set_has_its_soft_labels(tmp_path: Path) -> None:
    events = read_strong(put(tmp_path / "cafe_restaurant_14.txt", TRACK), soft=True)
    assert events.filenames == ("cafe_restaurant_14",) and events.labels == ("cutlery and dishes", "footsteps")
    assert events.confidence is not None
    np.testing.assert_allclose(events.confidence, [0.22607917138849756, 0.12977944582818704, 1.0], rtol=1e-15)
    assert list(events.active().rows()) == [("cafe_restaurant_14", 1.0, 2.0, "footsteps")]
    # Who wants events alone has every row, as of any table with a column more.
    assert read_strong(tmp_path / "cafe_restaurant_14.txt").confidence is None


def test_a_label_track_whose_labels_hold_tabs_has_none(tmp_path: Path) -> None:
    events = read_strong(put(tmp_path / "x.txt", "0.0\t1.0\tcar\thorn\n"), soft=True)
    assert events.confidence is None and events.labels == ("car\thorn",)


def test_only_what_is_above_one_half_is_an_event_or_a_tag(tmp_path: Path) -> None:
    events = read_strong(put(tmp_path / "t.tsv", TABLE), soft=True)
    assert list(events.active().rows()) == [("a.wav", 1.0, 2.0, "car"), ("b.wav", None, None, None)]
    assert tags_of(events).present.tolist() == [[True], [False]]
    assert not tags_of(events.take(events.confidence < 0.6)).present.any()  # type: ignore[operator]


def test_written_and_joined_tables_keep_each_value_beside_its_row(tmp_path: Path) -> None:
    soft = read_strong(put(tmp_path / "t.tsv", TABLE), soft=True)
    hard = read_strong(put(tmp_path / "h.tsv", "filename\tonset\toffset\tevent_label\nc.wav\t0\t4\tbus\n"), soft=True)
    write_events(tmp_path / "all.tsv", joined([soft, hard], None, "both"))
    assert (tmp_path / "all.tsv").read_text().splitlines() == [
        "filename\tonset\toffset\tevent_label\tconfidence",
        "a.wav\t0.000\t1.000\tcar\t0.500",
        "a.wav\t1.000\t2.000\tcar\t0.750",
        "b.wav\t\t\t\t",
        "c.wav\t0.000\t4.000\tbus\t1.000",
    ]
    again = read_strong(tmp_path / "all.tsv", soft=True)
    assert again.confidence is not None and again.confidence.tolist() == [0.5, 0.75, 1.0]
    assert again.keep_labels(["bus"]).confidence.tolist() == [1.0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("often", "t.tsv:2: confidence 'often', expected a number from 0 to 1"),
        ("1.2", "t.tsv:2: confidence '1.2', expected a number from 0 to 1"),
        ("-0.1", "t.tsv:2: confidence '-0.1', expected a number from 0 to 1"),
        ("", "t.tsv:2: no confidence, expected a number from 0 to 1"),
    ],
)
def test_what_is_no_soft_label_is_refused_where_they_are_wanted(tmp_path: Path, value: str, message: str) -> None:
    path = put(tmp_path / "t.tsv", TABLE.replace("0.75", value))
    with pytest.raises(SedkitError, match=message):
        read_strong(path, soft=True)
    assert read_strong(path).n_events == 2
    lenient = read_strong(path, lenient=True, soft=True)
    assert lenient.confidence is not None and lenient.confidence.tolist() == [0.5]


def test_a_data_dir_gives_events_or_soft_labels(tmp_path: Path) -> None:
    events = read_strong(put(tmp_path / "t.tsv", TABLE), soft=True)
    names = ("a.wav", "b.wav")
    data = write_datadir(tmp_path / "d", Clips(names, names, np.full(2, 3.0)), Vocabulary(("car",)), None, events)
    assert data.strong().n_events == 1 and data.strong().confidence is None
    assert data.strong(soft=True).confidence.tolist() == [0.5, 0.75]  # type: ignore[union-attr]
