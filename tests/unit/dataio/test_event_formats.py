"""Label tracks, selection tables and JSON: written, opened by another reader, read back as references."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.dataio.event_formats import FORMATS, Detected, is_table, label_files, read_detected, together
from sedkit.dataio.events import Events
from sedkit.dataio.tables import read_events, read_strong

ROWS = [("pond.wav", 0.125, 1.2500014, "Rana temporaria"), ("pond.wav", 2.0, 3.3333333, 'Bufo "b", 2')]
POND = Detected(Events.from_rows(ROWS, source="pond"), [10.0], 14000.0, {"sedkit": "1", "checkpoint": "sha256:0"})


def written(folder: Path, form: str, detected: Detected = POND, name: str = "pond") -> Path:
    """A file of a format, called as `sedkit detect` calls it."""
    path = folder / f"{name}{FORMATS[form].ending}"
    path.write_text(FORMATS[form].text(detected))
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read_back(form: str, tmp_path: Path) -> None:
    events = read_strong(written(tmp_path, form))
    assert events.filenames == (("pond",) if FORMATS[form].lone else ("pond.wav",))
    assert [events.labels[k] for k in events.label] == [row[3] for row in ROWS]
    np.testing.assert_allclose(events.onset_s, [row[1] for row in ROWS], rtol=0, atol=1e-6)
    np.testing.assert_allclose(events.offset_s, [row[2] for row in ROWS], rtol=0, atol=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(1, 10**8), st.sampled_from(["Cat", "Dog", "É, ü", "a b"])),
        min_size=1,
        max_size=12,
    )
)
def test_times_survive_every_format_to_the_microsecond(events: list[tuple[int, int, str]]) -> None:
    rows = [("x.wav", a / 1e6, (a + n) / 1e6, label) for a, n, label in events]
    expected = sorted((round(a, 6), round(b, 6), label) for _, a, b, label in rows)
    detected = Detected(Events.from_rows(rows), [2000.0])
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            table, _ = read_events(written(Path(folder), form, detected, "x"))
            got = sorted((round(a or 0, 6), round(b or 0, 6), label) for _, a, b, label in table.rows())
            assert got == expected, form


def test_a_second_reader_opens_raven_and_audacity_with_the_same_times(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta", reason="crowsetta is not installed")
    boxes = crowsetta.formats.bbox.Raven.from_file(written(tmp_path, "raven")).to_bbox()
    track = crowsetta.formats.seq.AudSeq.from_file(written(tmp_path, "audacity"))
    for onsets, offsets, labels in (
        ([b.onset for b in boxes], [b.offset for b in boxes], [b.label for b in boxes]),
        (track.start_times, track.end_times, list(track.labels)),
    ):
        np.testing.assert_allclose(onsets, [row[1] for row in ROWS], rtol=0, atol=1e-6)
        np.testing.assert_allclose(offsets, [row[2] for row in ROWS], rtol=0, atol=1e-6)
        assert labels == [row[3] for row in ROWS]
    assert {(b.low_freq, b.high_freq) for b in boxes} == {(0.0, 14000.0)}


def test_tables_of_others_are_read(tmp_path: Path) -> None:
    """Frequencies of labels, waveform views, other names of the class column, CRLF, a byte order mark."""
    track = tmp_path / "a.txt"
    track.write_bytes(
        "\ufeff0,5\t1\tx\r\n".replace("0,5", "0.5").encode() + b"\\\t100.0\t2000.0\r\n2\t3\tJ\xc3\xa4ger\r\n"
    )
    assert list(read_strong(track).rows()) == [("a", 0.5, 1.0, "x"), ("a", 2.0, 3.0, "Jäger")]
    selections = tmp_path / "b.selections.txt"
    header = (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tDelta Time (s)\tSpecies"
    )
    rows = ["1\tWaveform 1\t1\t1.5\t2.5\t0\t9\t1\tEATO", "1\tSpectrogram 1\t1\t1.5\t2.5\t0\t9\t1\tEATO"]
    rows += ["2\tSpectrogram 1\t1\t4\t5\t0\t9\t1\tEATO", "2\tWaveform 1\t1\t4\t5\t0\t9\t1\tEATO"]
    selections.write_text("\n".join([header, *rows, "3\tWaveform 1\t1\t6\t7\t0\t9\t1\tAMRO"]) + "\n")
    assert list(read_strong(selections).rows()) == [
        ("b", 1.5, 2.5, "EATO"),
        ("b", 4.0, 5.0, "EATO"),
        ("b", 6.0, 7.0, "AMRO"),
    ]


def test_crowsettas_own_example_is_read_as_crowsetta_reads_it() -> None:
    crowsetta = pytest.importorskip("crowsetta", reason="crowsetta is not installed")
    from importlib.resources import files

    path = next(p for p in files(crowsetta).joinpath("examples").iterdir() if p.name.endswith("selections.txt"))
    table = pd.read_csv(str(path), sep="\t")
    events = read_strong(str(path))
    np.testing.assert_array_equal(events.onset_s, table["Begin Time (s)"])
    np.testing.assert_array_equal(events.offset_s, table["End Time (s)"])
    assert [events.labels[k] for k in events.label] == table["Species"].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\tCat\n3\t4\n", r"x.txt:2: '3\\t4', expected begin, end and label, separated by TABs"),
        ("1\t2\tCat\n3\tfour\tDog\n", r"x.txt:2: onset '3', offset 'four', expected seconds as numbers"),
        ("1\t2\tCat\n\n3\t2\tDog\n", r"x.txt:3: onset 3 s, offset 2 s, expected onset before offset"),
        ("Selection\tBegin Time (s)\tEnd Time (s)\n1\t1\t2\n", r"x.txt:1: no column of classes, expected one of Annot"),
        (
            '{"recordings": [{"filename": "a"}]}',
            r"x.txt: not what `sedkit detect --format json` writes \(lacks 'events'",
        ),
        ('{"recordings": [}', r"x.txt:1: not valid JSON"),
        (
            "Begin Time (s)\tEnd Time (s)\tSpecies\tBegin File\n1\t2\tx\ta.wav\n3\t4\tx\tb.wav\n",
            r"x.txt:3: selections of a.wav, b.wav, expected those of one recording",
        ),
    ],
)
def test_a_line_that_cannot_be_right_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(SedkitError, match=message):
        read_strong(tmp_path / "x.txt")


def test_a_folder_holds_a_file_a_recording(tmp_path: Path) -> None:
    """An empty track says that there is no event; below a folder recordings are called by their paths."""
    (tmp_path / "site").mkdir()
    written(tmp_path / "site", "raven")
    (tmp_path / "quiet.txt").write_text("")
    (tmp_path / "rain.txt").write_text("1\t2\tCat\n")
    for other in ("labels.txt", "rain.txt.done.json", "notes.md", ".hidden.txt"):
        (tmp_path / other).write_text("Cat\n")
    assert list(label_files(tmp_path)) == ["quiet", "rain", "site/pond"]
    assert [row[0] for row in read_strong(tmp_path).rows()] == ["quiet", "rain", "site/pond", "site/pond"]
    assert not is_table(tmp_path)
    with pytest.raises(
        SedkitError, match="rain.tsv: rain has the labels of rain.txt too|rain.txt: rain has the labels"
    ):
        (tmp_path / "rain.tsv").write_text("filename\tonset\toffset\tevent_label\n")
        label_files(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SedkitError, match="holds no table of events"):
        label_files(tmp_path / "empty")


def test_lenient_leaves_out_the_row_of_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\t2\tCat\n4\t3\tCat\n")
    (tmp_path / "b.txt").write_text("1\t2\tCat\n3\t4\tCat\n")
    with pytest.raises(SedkitError, match=r"a.txt:2: onset 4 s, offset 3 s"):
        read_strong(tmp_path, ("Cat",), lenient=False)
    assert list(read_strong(tmp_path, ("Cat",), lenient=True).rows()) == [
        ("a", 1.0, 2.0, "Cat"),
        ("b", 1.0, 2.0, "Cat"),
        ("b", 3.0, 4.0, "Cat"),
    ]


def test_json_says_what_it_was_made_with_and_comes_back_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "json")
    whole = json.loads(path.read_text())
    assert whole["checkpoint"] == "sha256:0" and whole["recordings"][0]["duration_s"] == 10.0
    back = read_detected(path)
    assert (back.durations_s, back.highest_hz, back.lineage) == ([10.0], 14000.0, POND.lineage)
    other = Detected(Events.from_rows([("b.wav", None, None, None)], POND.events.labels), [1.0], 14000.0, POND.lineage)
    both = together([back, other])
    assert both.events.filenames == ("pond.wav", "b.wav") and both.durations_s == [10.0, 1.0]


def test_a_correction_made_by_ear_is_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of the estimate's three events are in the corrected tracks: F1 = 2 * 2 / (3 + 2) by hand."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("1.000000\t2.000000\tCat\n")
    (tmp_path / "labels/b.Table.1.selections.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t3.0\t4.0\tCat\n"
    )
    (tmp_path / "labels/c.txt").write_text("")
    estimate = tmp_path / "estimate.tsv"
    rows = ["a.wav\t1.0\t2.0\tCat", "b.wav\t3.0\t4.0\tCat", "c.wav\t5.0\t6.0\tCat"]
    estimate.write_text("\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n")
    call = ["score", "--reference", str(tmp_path / "labels"), "--estimate", str(estimate), "--metrics", "event"]
    assert main([*call, "--json", str(tmp_path / "out.json")]) == 0
    results = json.loads((tmp_path / "out.json").read_text())
    assert results["event_based"]["micro"]["f1"] == pytest.approx(4 / 5)
    assert results["reference"]["clips"] == 3 and results["reference"]["events"] == 2
    # The other way round, and one track alone.
    call = ["score", "--reference", str(estimate), "--estimate", str(tmp_path / "labels"), "--metrics", "event"]
    assert main([*call, "--json", str(tmp_path / "back.json")]) == 0
    assert json.loads((tmp_path / "back.json").read_text())["event_based"]["micro"]["f1"] == pytest.approx(4 / 5)
    capsys.readouterr()
    assert main([*call, "--official", "true"]) == 2
    assert "--official" in (said := capsys.readouterr().err) and "challenge tables" in said
