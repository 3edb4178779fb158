"""Class order is frozen: the same names in another order are another vocabulary."""

import pytest

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import DESED_CLASSES, Vocabulary


def test_the_official_order_is_alphabetical():
    assert len(DESED_CLASSES) == 10
    assert list(DESED_CLASSES) == sorted(DESED_CLASSES)


def test_round_trip(tmp_path):
    DESED_CLASSES.write(tmp_path / "labels.txt")
    assert Vocabulary.read(tmp_path / "labels.txt") == DESED_CLASSES


def test_unknown_labels_come_with_a_hint():
    with pytest.raises(SedkitError, match='unknown label .Speach. .did you mean "Speech"'):
        DESED_CLASSES.index("Speach")


def test_another_order_is_an_error_of_its_own():
    DESED_CLASSES.check_same(DESED_CLASSES.labels, "scores")
    with pytest.raises(SedkitError, match="in another order"):
        DESED_CLASSES.check_same(reversed(DESED_CLASSES.labels), "scores")
    with pytest.raises(SedkitError, match="missing: Cat; additional: Bird"):
        DESED_CLASSES.check_same([{"Cat": "Bird"}.get(x, x) for x in DESED_CLASSES], "scores")


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a\tb",), ("a\nb",), (" a",), ("",)])
def test_lists_that_cannot_be(labels):
    with pytest.raises(SedkitError):
        Vocabulary(labels)
