from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.tables import read_events
from sedkit.evaluation.fit import Fit
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.base import metrics_named
from sedkit.evaluation.reading import read_operating_points, read_reference, read_table_to_score

PLAIN = "filename\tonset\toffset\tevent_label\nb.wav\t0.5\t1.25\tDog\na.wav\t0\t1e0\tCat\nb.wav\t2.000\t3.0\tCat\n"


def write(folder: Path, text: str, name: str = "t.tsv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_operating_points_come_in_order_of_their_thresholds(tmp_path: Path) -> None:
    for name in ("p_th_0.5.tsv", "p_th_0.07.tsv", "p_th_.9.tsv"):
        write(tmp_path, PLAIN, name)
    write(tmp_path, PLAIN.replace("\n", "\r\n") + "c.wav\t\t\t\r\n", "p_th_0.71.tsv")
    points = read_operating_points(tmp_path)
    assert points.thresholds == (0.07, 0.5, 0.71, 0.9)
    assert points.at(0.71).filenames == ("b.wav", "a.wav", "c.wav")
    with pytest.raises(UsageError, match=r"--threshold 0.6: no such operating point .* nearest is 0.5"):
        points.at(0.6)


def test_thresholds_are_read_off_the_end_of_names(tmp_path: Path) -> None:
    for name in ("th0.5.tsv", "th_1e-05.tsv", "pred-.25.tsv", "1.tsv"):
        write(tmp_path, PLAIN, name)
    assert read_operating_points(tmp_path).thresholds == (1e-5, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no table"),
        (["points.tsv"], "does not end in a threshold"),
        (["th_-0.5.tsv"], "does not end in a threshold"),
        (["th_0,7.tsv"], "does not end in a threshold"),
        (["a_0.5.tsv", "b_0.50.tsv"], "threshold 0.5 is that of a_0.5.tsv too"),
    ],
)
def test_folders_that_are_no_operating_points(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        write(tmp_path, PLAIN, name)
    with pytest.raises(SedkitError, match=message):
        read_operating_points(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c.wav\tx\t1\tDog", r"t.tsv:5: .*expected seconds as numbers"),
        ("c.wav\t0\t1_0\tDog", r"t.tsv:5: .*expected seconds as numbers"),
        ("c.wav\t0\t٠.٥\tDog", r"t.tsv:5: .*expected seconds as numbers"),
        ("c.wav\t0\t1\0\tDog", r"t.tsv:5: holds NUL bytes"),
        ("c.wav\t\t1\tDog", r"t.tsv:5: .*all three fields empty"),
        ("c.wav\t0\t1\t", r"t.tsv:5: an event without event_label"),
        ("c.wav\t0\t1\tDog\tx\ty", r"t.tsv:5: 6 fields, expected 4"),
    ],
)
def test_rows_that_cannot_be_read_end_the_call(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(SedkitError, match=message):
        read_table_to_score(write(tmp_path, PLAIN + row + "\n"), "estimate")


def test_odd_rows_are_scored_with_one_warning_per_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = PLAIN + "b.wav\t2.000\t3.0\tCat\nb.wav\t2.000\t3.0\tCat\nb.wav\t5\t4\tCat\nb.wav\t-1\t0\tCat\n"
    with caplog.at_level(logging.WARNING, logger="sedkit"):
        events = read_table_to_score(write(tmp_path, text), "estimate")
    assert events.n_events == 7
    messages = [r.getMessage() for r in caplog.records]
    assert sum("2 such rows in the estimate: each row counts" in m for m in messages) == 1
    assert any("t.tsv:7" in m and "expected onset before offset" in m for m in messages)
    assert any("t.tsv:8" in m and "expected times from 0 s" in m for m in messages)


def fit_of(reference: Events, metric: str) -> Fit:
    truth = Truth(reference, tags_of(reference), {"a.wav": 10.0, "b.wav": 10.0})
    return Fit(reference, truth, None, metrics_named([metric]))


def test_rows_that_do_not_fit_the_reference_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference = read_events(write(tmp_path, PLAIN))[0]
    text = PLAIN + "z.wav\t0\t1\tDog\nz.wav\t2\t3\tDog\na.wav\t0\t11\tDuck\n"
    estimate = read_events(write(tmp_path, text, "e.tsv"))[0]
    with caplog.at_level(logging.WARNING, logger="sedkit"):
        fit_of(reference, "event").warn_of(Output(estimate), "")
    outside, label, past = (r.getMessage() for r in caplog.records)
    assert "e.tsv:5: z.wav is not a clip of the reference (1 such clips, 2 rows" in outside
    assert "e.tsv:7: label 'Duck' is not among the classes of the reference (1 such rows" in label
    assert "e.tsv:7: offset 11 s is past the end of a.wav at 10 s" in past


def test_all_operating_points_are_warned_of_once_per_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference = read_events(write(tmp_path, PLAIN))[0]
    folder = tmp_path / "points"
    folder.mkdir()
    write(folder, PLAIN, "th_0.1.tsv")
    write(folder, PLAIN + "b.wav\t2.000\t3.0\tCat\nz.wav\t0\t1\tDog\nb.wav\t4\t4\tCat\n", "th_0.2.tsv")
    # CRLF is read with more care, and told of alike.
    odd = PLAIN + "a.wav\t0\t1\tCat\na.wav\t5\t11\tDuck\nb.wav\t5\t12\tDuck\ny.wav\t\t\t\n"
    write(folder, odd.replace("\n", "\r\n"), "th_0.3.tsv")
    with caplog.at_level(logging.WARNING, logger="sedkit"):
        points = read_operating_points(folder)
        fit_of(reference, "psds1").warn_of(Output(points=points), "")
    assert len(caplog.records) == 5
    told = " | ".join(record.getMessage() for record in caplog.records)
    for message in (
        "th_0.2.tsv:5: same event as line 4 (2 such rows in the operating points",
        "th_0.2.tsv:7: onset 4 s, offset 4 s, expected onset before offset (1 such rows",
        "th_0.2.tsv:6: z.wav is not a clip of the reference (2 such clips, 1 rows",
        "th_0.3.tsv:6: label 'Duck' is not among the classes of the reference (2 such rows",
        "th_0.3.tsv:6: offset 11 s is past the end of a.wav at 10 s (2 such rows",
    ):
        assert message in told


def test_confidence_above_one_half_counts(tmp_path: Path) -> None:
    head = "filename\tonset\toffset\tevent_label\tconfidence\n"
    text = head + "a\t0\t1\tx\t0.5\nb\t\t\t\t\na\t1\t2\tx\t0.51\na\t2\t3\ty\t1\n"
    events = read_reference(write(tmp_path, text))
    assert events.filenames == ("a", "b")
    assert events.onset_s.tolist() == [1.0, 2.0]
    # The column says how sure annotators are: in a system's output it is but another column.
    assert read_table_to_score(write(tmp_path, text), "estimate").onset_s.tolist() == [0.0, 1.0, 2.0]
