import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.datasets.splits import FEWEST_HELD_OUT, PARTS, split_folds, split_parts


def _labels(rng, n, classes=10):
    present = rng.random((n, classes)) < rng.uniform(0.05, 0.3, classes)
    present[np.arange(n), rng.integers(classes, size=n)] = True
    return present


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 10))
def test_groups_stay_together_and_all_clips_are_placed(n, n_groups, seed):
    rng = np.random.default_rng(seed)
    groups = [f"g{k}" if k else "" for k in rng.integers(n_groups, size=n)]
    parts = split_parts(_labels(rng, n), groups, seed)
    assert len(parts) == n
    assert set(parts) <= set(PARTS)
    of = {}
    for group, part in zip(groups, parts, strict=True):
        if group:
            assert of.setdefault(group, part) == part
    assert "train" in parts


@given(st.integers(40, 400), st.integers(0, 20))
def test_held_out_parts_have_their_share(n, seed):
    parts = split_parts(_labels(np.random.default_rng(seed), n), [""] * n, seed)
    for part in ("select", "tune"):
        assert FEWEST_HELD_OUT <= parts.count(part) <= max(0.16 * n, FEWEST_HELD_OUT + 4)
    assert parts.count("train") >= n / 2


@pytest.mark.parametrize("n", [100, 1578])
def test_labels_are_stratified_better_than_at_random(n):
    rng = np.random.default_rng(1)
    present = _labels(rng, n)
    total = present.sum(axis=0)

    def unevenness(parts):
        held = np.array([present[np.array(parts) == part].sum(axis=0) for part in ("select", "tune")])
        return float(np.abs(held / total - 0.1).mean())

    ours = unevenness(split_parts(present, [""] * n))
    chance = np.mean([unevenness(rng.permutation(split_parts(present, [""] * n))) for _ in range(20)])
    assert ours < 0.5 * chance


def test_every_class_is_held_out_when_it_can_be():
    present = np.eye(10, dtype=bool).repeat(10, axis=0)
    parts = np.array(split_parts(present, [""] * 100))
    for part in PARTS:
        assert present[parts == part].any(axis=0).all()


def test_the_same_seed_gives_the_same_split_and_another_one_another():
    present = _labels(np.random.default_rng(0), 300)
    assert split_parts(present, [""] * 300, 0) == split_parts(present, [""] * 300, 0)
    assert split_parts(present, [""] * 300, 0) != split_parts(present, [""] * 300, 1)


def test_fixed_groups_keep_their_part():
    groups = [f"g{i // 2}" for i in range(80)]
    parts = split_parts(_labels(np.random.default_rng(0), 80), groups, fixed={"g3": "tune", "g4": "train"})
    assert parts[6:10] == ("tune", "tune", "train", "train")


def test_clips_without_labels_are_dealt_out_too():
    parts = split_parts(np.zeros((20000, 0), dtype=bool), [""] * 20000)
    assert parts.count("select") == pytest.approx(2000, abs=2)


def test_folds_are_equal_and_give_up_a_tenth_each():
    groups = [f"g{i // 2}" for i in range(800)]
    folds = split_folds(np.eye(4, dtype=bool).repeat(200, axis=0), groups, 4, fixed={"g3": "2-select", "g4": "train"})
    for k in "1234":
        assert folds.count(k) + folds.count(f"{k}-select") == 200
        assert folds.count(f"{k}-select") == pytest.approx(20, abs=2)
    assert folds[::2] == folds[1::2]
    assert folds[6] == "2-select"
