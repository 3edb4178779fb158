"""Which windows a step sees, and with which targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fake_data import FRAMES, FRONTEND, LABELS, make_set
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.training.batches import Batches, Sampler, shares
from sedkit.training.settings import StreamSettings
from sedkit.training.streams import Stream, StreamReader


def load(
    root: Path, name: str, target: str, folds: list[str] | None = None, more: str = "", classes: tuple = LABELS
) -> Stream:
    reader = StreamReader(root, frontend_from(FRONTEND), 0)
    reader.labels = Vocabulary(classes)
    settings = typed({"set": name, "labels": {"target": target}}, StreamSettings, "data.streams.x")
    return reader.read("x", 0, settings, [name, more] if more else [name], folds)


@given(st.integers(1, 20), st.integers(0, 3), st.integers(1, 50))
def test_every_clip_once_an_epoch(n: int, seed: int, count: int) -> None:
    sampler = Sampler(n, seed, 0)
    order = np.concatenate([sampler.positions(i, min(count, 3 * n - i)) for i in range(0, 3 * n, count)])
    for epoch in range(3):
        # Those of another round are others.
        window = range(epoch * n, (epoch + 1) * n)
        assert sorted(order[window]) == list(window)


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
    with pytest.raises(UsageError, match="at least one window for each of 3 streams"):
        shares(streams, 2)


def test_targets_and_rows_follow_the_clips(data_root: Path) -> None:
    stream = load(data_root, "synthetic", "frame", ["select"])
    data = DataDir(data_root / "synthetic")
    chosen = data.select(["select"])
    assert len(stream) == len(chosen) == 6
    batch = stream.read(np.array([2, 0]))
    file = FeatureFile(next((data_root / "synthetic").glob("*.h5")))
    rows = [file.filenames.index(data.clips.filename[chosen[i]]) for i in (2, 0)]
    np.testing.assert_array_equal(batch.features.numpy(), file.features[rows])
    assert batch.n_frames.tolist() == file.n_frames[rows].tolist()
    assert batch.frame_target.shape == (2, FRAMES, 3)
    tags = data.weak().present[chosen[[2, 0]]]
    assert (batch.clip_target.numpy() == tags).all()
    assert (batch.frame_target.amax(dim=1).numpy() == tags).all()
    assert load(data_root, "weak", "none").read(np.array([0])).clip_target is None


@pytest.mark.parametrize("target", ["clip", "tiled"])
def test_sets_join(data_root: Path, target: str) -> None:
    stream = load(data_root, "weak", target, more="validation")
    assert len(stream) == 60
    batch = stream.read(np.array([59, 0, 40, 39]))
    for row, (name, at) in enumerate((("validation", 19), ("weak", 0), ("validation", 0), ("weak", 39))):
        file = FeatureFile(next((data_root / name).glob("*.h5")))
        data = DataDir(data_root / name)
        np.testing.assert_array_equal(
            batch.features[row].numpy(), file.features[file.filenames.index(data.clips.filename[at])]
        )
        present = data.weak().present[at]
        assert (batch.clip_target[row].numpy() == present).all()
        if target == "tiled":
            assert (batch.frame_target[row].numpy() == present).all()


def test_prefetched_batches_are_those_of_the_steps(data_root: Path) -> None:
    stream = load(data_root, "weak", "clip", ["train"])
    normalise = Normalisation.from_section({"zscore": {}}, stream.read(np.array([0])).features.shape[2])
    normalise.fit(stream.blocks)
    batches = Batches({"weak": stream}, {"weak": 4}, 3, normalise, torch.device("cpu"))
    steps = list(batches.iterate(5, 9))
    assert len(steps) == 4
    raw = stream.read(Sampler(len(stream), 3, 0).positions(28, 4))
    mean, std = (normalise.state_dict()["zscore"][key] for key in ("mean", "std"))
    torch.testing.assert_close(steps[2].view(None)["weak"].features, (raw.features - mean) / std)
    assert list(batches.iterate(3, 3)) == []


@pytest.mark.parametrize("target", ["frame", "none"])
def test_resident_streams_give_the_same_batches(data_root: Path, target: str) -> None:
    # Two sets of another number of clips than the batches divide, over two rounds.
    stream = load(data_root, "synthetic", target, more="validation")
    nothing = Normalisation.from_section({}, stream.read(np.array([0])).features.shape[2])
    either = [Batches({"x": stream}, {"x": 7}, 3, nothing, torch.device("cpu"), resident) for resident in (None, True)]
    assert list(either[0].resident) == [] and len(either[1].resident["x"]) == len(stream)
    for step in range(2 * len(stream) // 7 + 1):
        streamed, resident = (vars(batches.read(step)["x"]) for batches in either)
        assert {name: value is None for name, value in streamed.items()} == {
            name: value is None for name, value in resident.items()
        }
        for name, value in streamed.items():
            if value is not None:
                torch.testing.assert_close(resident[name], value, rtol=0, atol=0)


def test_other_classes_and_missing_clips_are_refused(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match=r"labels.txt: has nothing for Bird.*give labels.map"):
        load(data_root, "weak", "clip", classes=("Cat", "Bird"))
    # Classes beyond those of the run are left out.
    assert load(data_root, "weak", "clip", classes=("Dog", "Cat")).read(np.array([0])).clip_target.shape == (1, 2)
    make_set(tmp_path, "weak", 5, 0, ("tune",))
    with pytest.raises(SedkitError, match="no fold 'train'"):
        load(tmp_path, "weak", "clip", ["train"])
    (path,) = (tmp_path / "weak").glob("*.h5")
    path.write_bytes(next((data_root / "synthetic").glob("*.h5")).read_bytes())
    with pytest.raises(SedkitError, match="lacks 5 of 5 clips"):
        load(tmp_path, "weak", "clip")
