"""Masks of recordings of any length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import ALONE, SLICED, TEN, make_checkpoint

from sedkit.core.errors import UsageError
from sedkit.features.frontends import FrontEnd
from sedkit.inference.masks import MaskPredictor
from sedkit.inference.predictor import Predictor
from sedkit.models.checkpoint import write_checkpoint

GWRP = {"name": "segmentation_gwrp", "base_channels": 2}
#: Not centred, as the mixtures' recipe has it: 62 frames of 1 s.
UNCENTRED = replace(SLICED, centre=False, n_fft=256, hop_samples=128, end_frame=True)


def masks_of(model: dict, frontend: FrontEnd, window: int) -> MaskPredictor:
    return MaskPredictor(Predictor(make_checkpoint(model, frontend, window), "cpu", "fp32", full_output=True))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 8000)).astype(np.float32)


def by_hand(network: MaskPredictor, features: np.ndarray, valid: int) -> torch.Tensor:
    """What the network says of one window of features."""
    output = network._predictor.output(features[None], np.array([valid]))[0]
    return output.masks[0].numpy(), output.clipwise[0].numpy()


@pytest.mark.parametrize("pooling", [1, 4])
def test_a_recording_of_one_window_has_the_masks_of_the_network(pooling: int) -> None:
    network = masks_of(GWRP | {"time_pooling": pooling, "bin_pooling": pooling}, SLICED, 100)
    x = noise(1.0)
    clipwise, masks = network.of(x)
    expected, clip = by_hand(network, SLICED.transform(x[None])[0], 100)
    assert masks.shape == (3, 100, 32) and masks.dtype == np.float32
    np.testing.assert_array_equal(masks, expected)
    np.testing.assert_array_equal(clipwise, clip)


@pytest.mark.parametrize(("seconds", "frames"), [(0.3, 30), (1.0, 100), (1.03, 103), (1.5, 150), (3.21, 321)])
def test_masks_cover_recordings_of_any_length(seconds: float, frames: int) -> None:
    _, masks = masks_of(GWRP, SLICED, 100).of(noise(seconds))
    assert masks.shape == (3, frames, 32)
    assert masks.min() > 0 and masks.max() <= 1


def test_windows_count_most_in_their_middle_and_the_clip_is_their_maximum() -> None:
    network = masks_of(GWRP, SLICED, 100)
    x = noise(1.5)
    clipwise, masks = network.of(x)
    features = SLICED.transform(x[None])[0]
    (first, clip1), (second, clip2) = (by_hand(network, features[a : a + 100], 100) for a in (0, 50))
    weight = ((np.arange(50)[::-1] + 0.5) / 50)[:, None]
    both = weight * first[:, 50:] + weight[::-1] * second[:, :50]
    np.testing.assert_allclose(masks, np.concatenate([first[:, :50], both, second[:, 50:]], axis=1), atol=1e-5)
    np.testing.assert_allclose(clipwise, np.maximum(clip1, clip2), atol=1e-5)


def test_windows_that_are_transformed_alone_are_put_in_their_places() -> None:
    frontend = replace(ALONE, end_frame=False)
    network = masks_of(GWRP, frontend, 8000)
    x = noise(1.504)
    _, masks = network.of(x)
    assert masks.shape == (3, 188, 32)
    first = by_hand(network, frontend.transform(x[None, :8000])[0], 125)[0]
    # Windows begin every half second, 62 of the frames of 64 samples: the first is alone until then.
    np.testing.assert_allclose(masks[:, :62], first[:, :62], atol=1e-5)


def test_frames_that_are_not_centred(tmp_path: Path) -> None:
    network = masks_of(GWRP, UNCENTRED, 61)
    assert network.of(noise(1.0))[1].shape == (3, 61, 32)
    assert network.of(noise(2.0))[1].shape == (3, UNCENTRED.frames_for(2.0), 32)


def test_pictures_get_everything_of_one_window() -> None:
    two_step = {"name": "two_step_attention", "base_channels": 2}
    network = masks_of(two_step, SLICED, 100)
    x = noise(1.0)
    output = network.output(x)
    np.testing.assert_allclose(output.features, SLICED.transform(x[None])[0], atol=1e-4)
    np.testing.assert_array_equal(output.masks, network.of(x).masks)
    assert output.framewise.shape == (100, 3) and output.reconstruction.shape == (100, 32)
    np.testing.assert_allclose(output.attention["frequency"].sum(axis=-1), 1, atol=1e-5)
    with pytest.raises(UsageError, match="1.5 s, expected at most one window of the network, 1 s"):
        network.output(noise(1.5))


def test_a_network_without_masks_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "cnn.pt", make_checkpoint({"name": "cnn9_avg", "base_channels": 2}, TEN))
    with pytest.raises(UsageError, match="cnn.pt: .*gives no masks"):
        MaskPredictor.open(tmp_path / "cnn.pt", "cpu")
