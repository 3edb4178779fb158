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


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a\tb",), ("a\nb",), (" a",), ("",)])
def test_lists_that_cannot_be(labels):
    with pytest.raises(SedkitError):
        Vocabulary(labels)
