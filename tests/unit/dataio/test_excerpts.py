"""Excerpts of recordings, beside those that the organisers' script of 2024 cuts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sedkit.core.errors import UsageError
from sedkit.dataio.excerpts import excerpt_of, lay_excerpts


@pytest.mark.parametrize(
    ("seconds", "hop_s", "spans"),
    [
        # Whole ones; then, where the last does not end with the recording, one that does.
        (20.0, 5.0, [("000000", "001000"), ("000500", "001500"), ("001000", "002000")]),
        (21.255, 5.0, [("000000", "001000"), ("000500", "001500"), ("001000", "002000"), ("001500", "002125")]),
        (11.5, 1.0, [("000000", "001000"), ("000100", "001100"), ("000200", "001150")]),
        (10.0, 1.0, [("000000", "001000")]),
        (4.0, 1.0, [("000000", "000400")]),
    ],
)
def test_excerpts_of_a_recording(seconds: float, hop_s: float, spans: list[tuple[str, str]]) -> None:
    columns = lay_excerpts(["city_center_04.wav"], np.array([seconds]), 10.0, hop_s)
    names = [f"city_center_04-{start}-{end}.wav" for start, end in spans]
    assert columns["excerpt"] == names
    assert set(columns["filename"]) == {"city_center_04.wav"}
    for name, onset, offset in zip(names, columns["onset"], columns["offset"], strict=True):
        excerpt = excerpt_of(name)
        assert excerpt is not None and excerpt.recording == "city_center_04"
        assert float(str(onset)) == excerpt.start_s
        assert float(str(offset)) == pytest.approx(excerpt.end_s, abs=0.01)


def test_gaps_are_refused() -> None:
    with pytest.raises(UsageError, match="excerpts of 10 s every 12 s, expected a hop above 0 s and no gaps"):
        lay_excerpts(["a.wav"], np.array([30.0]), 10.0, 12.0)
