"""Tables read as pandas reads them, with the line of each row; the right values are pandas' own."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.rows import parse_rows, read_rows, read_table

HEADER = "filename\tonset\tevent_label"
MISSING = ("", "NA", "N/A", "None", "NULL", "nan", "NaN", "null", "n/a", "#N/A", "<NA>", "-nan")

names = st.sampled_from(("a.wav", " b.wav", "ü.wav", '"c d.wav"', '"e ""f"".wav"', "g'h.wav", *MISSING))
numbers = st.one_of(
    st.floats(0, 100).map(repr),
    st.floats(0, 1).map("%.17g".__mod__),
    st.floats(0, 1).map("%.18f".__mod__),
    st.integers(0, 10**6).map(str),
    st.sampled_from((" 2.5", "1e-3", "+4", ".5", "5.", "x", "1_0", "0x1F", "1,5", "inf", "True", "٣", *MISSING)),
)
rows = st.one_of(st.tuples(names, numbers, names).map("\t".join), st.just(""), st.just("   "), st.just("\t\t"), names)
ends = st.sampled_from(("\n", "\r\n"))


@given(st.lists(rows, max_size=12), ends, st.booleans(), st.booleans())
@example(["a.wav\t1.8750000000000002\tDog", "", "b.wav\tx\tDog"], "\r\n", True, False)
def test_cells_numbers_and_lines_are_those_of_pandas(body: list[str], end: str, mark: bool, last: bool) -> None:
    text = ("\ufeff" if mark else "") + end.join([HEADER, *body]) + (end if last else "")
    data = text.encode()
    frame = pd.read_csv(io.BytesIO(data), sep="\t", dtype={"filename": str, "event_label": str})
    table = parse_rows("t.tsv", data, ("filename", "onset", "event_label"), numbers=("onset",))
    assert table.findings == []
    for name in ("filename", "event_label"):
        assert table.cells(name) == frame[name].fillna("").tolist()
    if frame["onset"].dtype.kind in "iuf":
        np.testing.assert_array_equal(table.numbers("onset"), frame["onset"].to_numpy(np.float64))
    cells = pd.read_csv(io.BytesIO(data), sep="\t", dtype=str)["onset"]
    np.testing.assert_array_equal(table.missing("onset"), cells.isna())
    for i, (line, cell) in enumerate(zip(table.line, cells, strict=True)):
        assert body[line - 2].split("\t")[1:2] == [cell] if isinstance(cell, str) else body[line - 2].strip(" ")
        if isinstance(cell, str):
            assert table.text("onset", i) == cell
            # A number of its own, whatever the other cells of its column are.
            alone = pd.read_csv(io.StringIO(f"x\n{cell}\n"), sep="\t")["x"]
            value = table.numbers("onset")[i]
            assert value == alone[0] if alone.dtype.kind in "iuf" else np.isnan(value)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('"a\nb.wav"\t1\tDog\nc.wav\t2\tCat\n', [2, 4]),
        ('\n"a.wav"\t1\tDog\n\n  \nc.wav\t2\tCat', [3, 6]),
        ("0\ta.wav\t1\tDog\n1\tc.wav\t2\tCat\n", [2, 3]),
        # pandas alone takes memory without end, or stops, at line ends like these.
        ("\r\ra.wav\t1\tDog\r \rc.wav\t2\tCat\r", [4, 6]),
        ('\r\r"a.wav"\t1\tDog\r\n\r"c.wav"\t2\tCat\r', [4, 6]),
    ],
)
def test_lines_behind_quotes_blank_lines_and_an_index(body: str, lines: list[int]) -> None:
    table = parse_rows("t.tsv", f"{HEADER}\n{body}".encode(), ("filename", "onset", "event_label"), numbers=("onset",))
    assert table.line.tolist() == lines
    assert table.numbers("onset").tolist() == [1.0, 2.0]
    assert table.cells("event_label") == ["Dog", "Cat"]


def test_rows_with_too_many_fields_are_found_and_left_out(tmp_path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f'{HEADER}\na.wav\t1\tDog\n\nb.wav\t1\tDog\tx\n"c.wav"\t2\tCat\nd\t1\tDog\ty\tz\n')
    table = read_rows(path, ("filename",))
    assert [(f.kind, f.line) for f in table.findings] == [("unreadable_row", 4), ("unreadable_row", 6)]
    assert table.findings[0].message == f"{path}:4: 4 fields, expected 3"
    assert (table.cells("filename"), table.line.tolist()) == (["a.wav", "c.wav"], [2, 5])
    with pytest.raises(SedkitError, match=r"t.tsv:4: 4 fields, expected 3 \(and 1 more rows\)"):
        read_table(path, ("filename",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "t.tsv: is empty"),
        (b"\n \n", "t.tsv: is empty"),
        (b"filename\tonset\na\0.wav\t1\n", "t.tsv:2: holds NUL bytes"),
        (b"filename\tonset\n\xe9.wav\t1\n", "t.tsv:2: holds bytes that are no UTF-8"),
        ("filename\tonset\n".encode("utf-16"), "t.tsv:1: holds NUL bytes"),
        (b'filename\tonset\na.wav\t1\nb.wav\t"2\nc.wav\t3\n', "t.tsv:3: a quote is opened here and never closed"),
        (b"file\tonset\n", r"t.tsv:1: no column filename \(did you mean \"file\"\?\); expected"),
    ],
)
def test_what_is_no_table(data: bytes, message: str) -> None:
    with pytest.raises(SedkitError, match=message):
        parse_rows("t.tsv", data, ("filename", "onset"), numbers=("onset",))


def test_columns_that_a_table_calls_otherwise_go_by_our_names(tmp_path) -> None:
    path = tmp_path / "t.csv"
    # Its own `filename` is something else, and its `group` is nobody's business.
    path.write_text("filename,file,start,group\nlong/a,a.wav,0.5,x\nlong/b,b.wav,late,y\n")
    called = {"filename": "file", "onset": "start"}
    rows = read_rows(path, ("filename", "onset"), ("group",), ("onset",), called)
    assert rows.cells("filename") == ["a.wav", "b.wav"]
    assert rows.numbers("onset")[0] == 0.5 and rows.text("onset", 1) == "late"
    assert rows.cells("group") == ["x", "y"]
    with pytest.raises(SedkitError, match=r"t.csv:1: no column end; expected a header line with file, end"):
        read_rows(path, ("filename", "offset"), called={"filename": "file", "offset": "end"})
    with pytest.raises(SedkitError, match="no column start"):
        path.write_text("file,onset\na.wav,1\n")
        read_rows(path, ("filename", "onset"), called=called)
