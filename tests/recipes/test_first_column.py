"""The published wrong figure of the recipe esc50_desed, beside its controls."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from sedkit.dataio.chunks import published_chunks
from sedkit.dataio.tables import read_strong

SCRIPT = Path(__file__).resolve().parents[2] / "recipes/esc50_desed/first_column.py"
FIVE = ("Cat", "Alarm_bell_ringing", "Dog", "Running_water", "Vacuum_cleaner")


def call(*words: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])}
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], env=env, capture_output=True, text=True)


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A table of one-second chunks with their classes; an empty class lists the chunk alone."""
    lines = [f"{chunk}\t0.0\t1.0\t{label}" if label else f"{chunk}\t\t\t" for chunk, label in rows]
    path.write_text("\n".join(["filename\tonset\toffset\tevent_label", *lines]) + "\n")
    return path


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_it_is_scikit_learns_macro_f1_of_two_different_columns(pairs) -> None:
    import runpy

    first_column_f1 = runpy.run_path(str(SCRIPT))["first_column_f1"]
    found, wanted = np.array(pairs, dtype=bool).T
    assert first_column_f1(found, wanted) == pytest.approx(
        f1_score(wanted, found, average="macro", zero_division=0), abs=1e-12
    )


def test_dogs_are_held_against_cats_and_the_controls_stand_beside(tmp_path) -> None:
    reference = write(
        tmp_path / "chunks.tsv", [("a.wav", "Cat"), ("b.wav", "Dog"), ("b.wav", "Cat"), ("c.wav", "Dog"), ("d.wav", "")]
    )
    estimate = write(tmp_path / "events.tsv", [("a.wav", "Dog"), ("b.wav", ""), ("c.wav", "Cat")])
    done = call("--reference", reference, "--estimate", estimate, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    # Cats are in a and b, predicted dogs in a. Absence: 2 of 2 + 3, presence: 1 of 2 + 1.
    assert found["value"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    # No event: absence 2 of 2 + 4. Every class: presence 2 of 2 + 4. The other half of each mean is 0.
    assert found["controls"] == pytest.approx({"all_negative": 1 / 3, "all_positive": 1 / 3})
    assert (found["predicted_class"], found["reference_class"]) == ("Dog", "Cat")
    assert (found["n_chunks"], found["n_reference"], found["n_estimate"]) == (4, 2, 1)
    assert found["estimate"]["path"] == str(estimate)
    assert "73.3 (4 chunks, predicted Dog against Cat); all negative 33.3" in done.stdout


def test_an_output_without_events_scores_almost_the_published_figure(shared, tmp_path) -> None:
    table = tmp_path / "public.tsv"
    table.write_bytes(lzma.decompress((shared / "vectors/metadata_true/public.tsv.xz").read_bytes()))
    chunks = published_chunks(read_strong(table), FIVE)
    rows = [(f"{i}.wav", FIVE[j]) for i, j in zip(*np.nonzero(chunks.present), strict=True)]
    reference = write(tmp_path / "chunks.tsv", rows)
    done = call("--reference", reference, "--estimate", reference, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert round(found["controls"]["all_negative"], 3) == 0.468
    # A perfect output is not rewarded: its dog column is held against cats.
    assert found["value"] < 0.5


def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path) -> None:
    reference = write(tmp_path / "chunks.tsv", [("a.wav", "Cat")])
    other = write(tmp_path / "events.tsv", [("b.wav", "Dog")])
    empty = write(tmp_path / "empty.tsv", [])
    for words, message, status in (
        (("--reference", reference, "--estimate", other), "events.tsv: 1 chunks are not in", 1),
        (("--reference", empty, "--estimate", other), "empty.tsv: lists no chunk", 1),
        (("--reference", reference), "--estimate", 2),
        (("--referense", reference), 'did you mean "--reference"?', 2),
    ):
        done = call(*words)
        assert (done.returncode, len(done.stderr.splitlines())) == (status, 1), done.stderr
        assert done.stderr.startswith("first_column.py: error: ") and message in done.stderr
