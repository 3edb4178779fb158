"""Tables as found in the wild: read as they are, odd rows named with file and line."""

import lzma

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.tables import (
    read_durations,
    read_events,
    read_filenames,
    read_strong,
    read_weak,
    write_events,
    write_weak,
)

HEADER = "filename\tonset\toffset\tevent_label\n"


def table(tmp_path, text, name="t.tsv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def plain(events):
    return [
        (events.filenames[c], a, b, events.labels[k])
        for c, a, b, k in zip(events.clip, events.onset_s, events.offset_s, events.label, strict=True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "a.wav\t0.5\t1.0\tDog\nb.wav\t\t\t\n",
        "\ufeff" + HEADER + "a.wav\t0.5\t1.0\tDog\nb.wav\t\t\t\n",
        HEADER.replace("\n", "\r\n") + "a.wav\t0.5\t1.0\tDog\r\nb.wav\t\t\t\r\n",
        HEADER + "a.wav\t0.5\t1.0\tDog\nb.wav\n",
        HEADER + "a.wav\t0.50000000000000000\t1.0\tDog\nb.wav\tnan\tNaN\tnan\n\n",
        "filename,onset,offset,event_label\na.wav,0.5,1.0,Dog\nb.wav,,,\n",
        ",event_label,onset,offset,filename\n0,Dog,0.5,1.0,a.wav\n0,,,,b.wav\n",
        '"filename","onset","offset","event_label"\n"a.wav",0.5,1.0,"Dog"\n"b.wav",,,\n',
    ],
)
def test_the_same_table_in_many_dresses(tmp_path, text):
    events, findings = read_events(table(tmp_path, text))
    assert findings == []
    assert events.filenames == ("a.wav", "b.wav")
    assert plain(events) == [("a.wav", 0.5, 1.0, "Dog")]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a.wav\tx\t1\tDog", "not_a_number"),
        ("a.wav\tinf\t1\tDog", "not_a_number"),
        ("a.wav\t1\t\tDog", "nan_beside_event"),
        ("a.wav\t\t\tDog", "nan_beside_event"),
        ("\t1\t2\tDog", "missing_filename"),
        ("a.wav\t1\t2\t", "missing_label"),
        ("a.wav\t2\t1\tDog", "negative_duration"),
        ("a.wav\t1\t1\tDog", "zero_duration"),
        ("a.wav\t-1\t1\tDog", "negative_onset"),
        ("a.wav\t1\t2\tDgo", "unknown_label"),
        ("a.wav\t1\t2\tDog\tmore", "unreadable_row"),
        ("ok.wav\t0\t1\tDog", "duplicate_row"),
        ("ok.wav\t0.5\t2\tDog", "overlap"),
        ("ok.wav\t\t\t", "empty_row_beside_events"),
    ],
)
def test_one_fault_is_one_finding_with_its_line(tmp_path, row, kind):
    path = table(tmp_path, HEADER + "ok.wav\t0\t1\tDog\nok.wav\t1\t2\tCat\n" + row + "\n")
    events, findings = read_events(path, ["Cat", "Dog"])
    assert [(f.kind, f.line) for f in findings] == [(kind, 4)]
    assert findings[0].message.startswith(f"{path}:4: ")
    if kind in ("duplicate_row", "overlap", "empty_row_beside_events"):
        assert read_strong(path, ["Cat", "Dog"]).n_events == events.n_events
        return
    with pytest.raises(SedkitError, match=r"t.tsv:4: .*--lenient true"):
        read_strong(path, ["Cat", "Dog"], lenient=False)
    with pytest.raises(SedkitError, match=r"t.tsv:4: .*; correct the row$"):
        read_strong(path, ["Cat", "Dog"])
    assert read_strong(path, ["Cat", "Dog"], lenient=True).n_events == 2


def test_touching_events_do_not_overlap(tmp_path):
    _, findings = read_events(table(tmp_path, HEADER + "a\t0\t1\tDog\na\t1\t2\tDog\na\t0.5\t1.5\tCat\n"))
    assert findings == []


def test_an_overlap_with_a_long_earlier_event_is_found(tmp_path):
    _, findings = read_events(table(tmp_path, HEADER + "a\t0\t9\tDog\na\t1\t2\tDog\na\t3\t4\tDog\nb\t3\t4\tDog\n"))
    assert [(f.kind, f.line) for f in findings] == [("overlap", 3), ("overlap", 4)]


@pytest.mark.parametrize("text", ["", "onset\toffset\n", "filname\tonset\toffset\tevent_label\n"])
def test_a_wrong_header_is_an_error(tmp_path, text):
    with pytest.raises(SedkitError, match="expected a header line"):
        read_events(table(tmp_path, text))


names = st.text("abc-_.", min_size=1, max_size=6).filter(lambda x: x == x.strip())
rows = st.lists(
    st.tuples(names, st.floats(0, 10), st.floats(0.001, 10), st.sampled_from(DESED_CLASSES.labels)), max_size=30
)


@given(rows)
def test_a_written_table_reads_as_pandas_reads_it(tmp_path_factory, raw):
    events = Events.from_rows([(n, a, a + b, c) for n, a, b, c in raw], DESED_CLASSES.labels)
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    write_events(path, events)
    back, _ = read_events(path, DESED_CLASSES.labels)
    frame = pd.read_csv(path, sep="\t", dtype={"filename": str, "event_label": str})
    rows = zip(frame["filename"], frame["onset"], frame["offset"], frame["event_label"], strict=True)
    assert plain(back) == list(rows)
    # The text is exact: a reader that rounds correctly gets the very numbers.
    exact = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    assert sorted((n, float(a), float(b), c) for n, a, b, c in exact) == sorted(plain(events))


def test_keep_clips_and_labels():
    events = Events.from_rows([("a", 0, 1, "Dog"), ("b", 1, 2, "Cat"), ("c", None, None, None)])
    kept = events.keep_clips(["c", "b", "new"])
    assert kept.filenames == ("c", "b", "new")
    assert plain(kept) == [("b", 1.0, 2.0, "Cat")]
    dogs = events.keep_labels(["Dog"])
    assert plain(dogs) == [("a", 0.0, 1.0, "Dog")]
    assert dogs.filenames == events.filenames
    assert tags_of(events).present.tolist() == [[False, True], [True, False], [False, False]]


def test_weak_tables(tmp_path):
    path = table(tmp_path, "filename\tevent_labels\n-a_0.wav\tDog,Cat,Dog\nb.wav\tCat\n")
    tags = read_weak(path, ["Cat", "Dog"])
    assert tags.present.tolist() == [[True, True], [True, False]]
    write_weak(tmp_path / "w.tsv", tags)
    assert np.array_equal(read_weak(tmp_path / "w.tsv", ["Cat", "Dog"]).present, tags.present)
    with pytest.raises(SedkitError, match=r"t.tsv:2: unknown label 'Dog'"):
        read_weak(path, ["Cat"])
    assert read_weak(path, ["Cat"], lenient=True).filenames == ("b.wav",)
    with pytest.raises(SedkitError, match="1 clips are not listed"):
        tags.keep_clips(["b.wav", "c.wav"])


def test_lists_and_durations(tmp_path):
    assert read_filenames(table(tmp_path, "filename\na b.wav\nc.wav\na b.wav\n")) == ("a b.wav", "c.wav")
    path = table(tmp_path, "filename\tduration\na.wav\t10.0\na.wav\t10\n")
    assert read_durations(path) == {"a.wav": 10.0}
    with pytest.raises(SedkitError, match=r"t.tsv:2: duration '0'"):
        read_durations(table(tmp_path, "filename\tduration\na.wav\t0\n"))
    with pytest.raises(SedkitError, match="lasts 2 s here and 1 s"):
        read_durations(table(tmp_path, "filename\tduration\na.wav\t1\na.wav\t2\n"))


@pytest.mark.parametrize(
    ("name", "clips", "events", "overlaps"),
    [("validation_2019", 1168, 4236, 12), ("validation_desed", 1168, 4224, 0), ("synthetic_2019", 2045, 6032, 6),
     ("public", 692, 2765, 0)],
)  # fmt: skip
def test_official_tables(shared, tmp_path, name, clips, events, overlaps):
    data = lzma.decompress((shared / f"vectors/metadata_true/{name}.tsv.xz").read_bytes())
    found, findings = read_events(table(tmp_path, data), DESED_CLASSES.labels)
    assert (len(found.filenames), found.n_events) == (clips, events)
    assert [f.kind for f in findings] == ["overlap"] * overlaps


def test_the_official_weak_table(shared, tmp_path):
    data = lzma.decompress((shared / "vectors/metadata_true/weak.tsv.xz").read_bytes())
    tags = read_weak(table(tmp_path, data), DESED_CLASSES.labels)
    assert tags.present.shape == (1578, 10)
    assert tags.present.sum() == 2244


@pytest.mark.parametrize("row", ["b.wav\tx\t1\tDog", "b.wav\t2\t1\tDog", "b.wav\t1\t2\tDgo"])
def test_a_clip_whose_only_row_is_left_out_is_not_one_without_events(tmp_path, row):
    path = table(tmp_path, HEADER + f"a.wav\t0\t1\tDog\n{row}\nc.wav\t\t\t\n")
    assert read_strong(path, ["Cat", "Dog"], lenient=True).filenames == ("a.wav", "c.wav")
