"""Recordings and weights from seeds are those that the known answers were made with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.models.known_answers import answers, check, drawn, wave


def test_the_recordings(shared: Path) -> None:
    """Each is given once or more, as a sweep of a rate and length."""

    def inputs(entry: Any) -> Iterator[dict[str, Any]]:
        if isinstance(entry, dict):
            yield from ([entry] if "wave" in entry else [below for one in entry.values() for below in inputs(one)])

    given = list(inputs(answers(shared)))
    assert len(given) >= 8
    for one in given:
        check(one["wave"], wave(one["sample_rate"], one["seconds"]), 1e-7)


def test_seeds_of_weights(shared: Path) -> None:
    for name, values in answers(shared)["recipe"]["fill_examples_first4"].items():
        key, _, shape = name.partition(" ")
        size = tuple(int(n) for n in shape.strip("()").split(",") if n)
        np.testing.assert_allclose(drawn(key, size).ravel()[:4], values, rtol=1e-6)
