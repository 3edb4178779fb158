"""Which clips a step sees, and with which targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_data import FRAMES, LABELS, make_set
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.models.scaler import fit_scaler
from sedkit.training.batches import Batches, Sampler, Stream, frame_targets, load_source, shares
from sedkit.training.settings import StreamSettings


def load(root: Path, name: str, target: str, folds: list[str] | None = None) -> Stream:
    path = next((root / name).glob("*.h5"))
    return Stream(name, [load_source(root / name, path, target, folds, None)[0]])


@given(st.integers(1, 20), st.integers(0, 3), st.integers(1, 50))
def test_every_clip_once_an_epoch(n: int, seed: int, count: int) -> None:
    sampler = Sampler(n, seed, 0)
    order = np.concatenate([sampler.positions(i, min(count, 3 * n - i)) for i in range(0, 3 * n, count)])
    for epoch in range(3):
        assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(st.integers(2, 30), st.integers(0, 200), st.integers(1, 40))
def test_order_depends_on_the_place_alone(n: int, first: int, count: int) -> None:
    whole = Sampler(n, 5, 1).positions(0, first + count)
    assert (Sampler(n, 5, 1).positions(first, count) == whole[first:]).all()


def test_seeds_and_streams_differ() -> None:
    orders = {tuple(Sampler(50, seed, stream).positions(0, 50)) for seed in (0, 1) for stream in (0, 1)}
    assert len(orders) == 4


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.integers(0, 40))
def test_shares_fill_the_batch(parts: list[float], more: int) -> None:
    streams = {str(i): StreamSettings("weak", share=share) for i, share in enumerate(parts)}
    counts = shares(streams, len(parts) + more)
    assert sum(counts.values()) == len(parts) + more
    assert min(counts.values()) >= 1


def test_shares_by_hand() -> None:
    streams = {
        "a": StreamSettings("weak", share=1),
        "b": StreamSettings("unlabelled", share=2),
        "c": StreamSettings("synthetic"),
    }
    assert shares(streams, 24) == {"a": 6, "b": 12, "c": 6}
    with pytest.raises(UsageError, match="at least one clip for each of 3 streams"):
        shares(streams, 2)


def test_frame_targets_are_half_open() -> None:
    events = Events.from_rows([("a", 0.5, 1.0, "Cat"), ("a", 9.99, 10.4, "Dog"), ("b", None, None, None)], LABELS)
    target = frame_targets(events, TimeGrid(32000, 500), 640)
    assert target.shape == (2, 640, 3)
    assert np.flatnonzero(target[0, :, 1]).tolist() == list(range(32, 64))
    assert np.flatnonzero(target[0, :, 2]).tolist() == [639]
    assert not target[1].any()


def test_targets_and_rows_follow_the_clips(data_root: Path) -> None:
    stream = load(data_root, "synthetic", "frame", ["select"])
    data = DataDir(data_root / "synthetic")
    chosen = data.select(["select"])
    assert len(stream) == len(chosen) == 6
    batch = stream.take(np.array([2, 0]))
    file = stream.sources[0].features
    rows = [file.filenames.index(data.clips.filename[chosen[i]]) for i in (2, 0)]
    np.testing.assert_array_equal(batch.features.numpy(), file.features[rows])
    assert batch.n_frames.tolist() == file.n_frames[rows].tolist()
    assert batch.frame_target is not None
    assert batch.frame_target.shape == (2, FRAMES, 3)
    tags = data.weak().present[chosen[[2, 0]]]
    assert (batch.clip_target.numpy() == tags).all()
    assert (batch.frame_target.amax(dim=1).numpy() == tags).all()
    assert stream.take(np.array([1]), None).clip_target.shape == (1, 3)
    assert load(data_root, "weak", "none").take(np.array([0])).clip_target is None


def test_sources_join(data_root: Path) -> None:
    parts = [load(data_root, name, "clip").sources[0] for name in ("weak", "validation")]
    stream = Stream("both", parts)
    assert len(stream) == 60
    batch = stream.take(np.array([59, 0, 40, 39]))
    for row, (part, at) in enumerate(((1, 19), (0, 0), (1, 0), (0, 39))):
        np.testing.assert_array_equal(batch.features[row].numpy(), parts[part].features.features[at])
        assert (batch.clip_target[row].numpy() == parts[part].clip_target[at]).all()


def test_prefetched_batches_are_those_of_the_steps(data_root: Path) -> None:
    stream = load(data_root, "weak", "clip", ["train"])
    scaler = fit_scaler(stream.blocks())
    batches = Batches({"weak": stream}, {"weak": 4}, 3, scaler, torch.device("cpu"))
    seen = list(batches.iterate(5, 9))
    assert len(seen) == 4
    expected = stream.take(Sampler(len(stream), 3, 0).positions(28, 4), scaler)
    torch.testing.assert_close(seen[2]["weak"].features, expected.features)
    assert list(batches.iterate(3, 3)) == []


def test_other_classes_and_missing_clips_are_refused(data_root: Path, tmp_path: Path) -> None:
    path = next((data_root / "weak").glob("*.h5"))
    with pytest.raises(SedkitError, match="labels.txt: other classes"):
        load_source(data_root / "weak", path, "clip", None, Vocabulary(("Cat", "Dog")))
    with pytest.raises(SedkitError, match="lacks 40 of the 40 clips"):
        load_source(data_root / "weak", next((data_root / "synthetic").glob("*.h5")), "clip", None, None)
    make_set(tmp_path, "weak", 5, 0, ("tune",))
    with pytest.raises(SedkitError, match="no fold 'train'"):
        load(tmp_path, "weak", "clip", ["train"])
