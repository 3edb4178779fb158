"""Masks and filters of features, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from augment_case import SETUP, batch_of, build

from sedkit.core.errors import UsageError
from sedkit.features.scales import to_amplitude

CLIPS = 200


def sounding(frames: int = 100, **tensors: Any):
    """Clips of one value, in which the first class sounds throughout and the second in the first ten frames."""
    target = np.zeros((CLIPS, frames, 2), np.float32)
    target[:, :, 0] = target[:, :10, 1] = 1
    values = {"features": np.full((CLIPS, frames, 4), -20.0, np.float32), "frame_target": target}
    return batch_of(CLIPS, **values | {"clip_target": np.ones((CLIPS, 2), np.float32)} | tensors)


def test_a_time_mask_silences_sound_and_labels_of_one_stretch() -> None:
    after = build({"time_mask": {"share": [0.1, 0.3]}}).on_features(sounding(), (0,))
    silent = after.features[:, :, 0] == SETUP.padding
    assert torch.equal(after.features == SETUP.padding, silent[:, :, None].expand(-1, -1, 4))
    lengths = silent.sum(1)
    assert lengths.min() >= 10 and lengths.max() <= 30 and len(lengths.unique()) > 10
    assert (silent.int().diff(dim=1).abs().sum(1) <= 2).all()
    # Anywhere: each end of the clips is hit, and what is not silent is what it was.
    assert silent[:, 0].any() and silent[:, -1].any()
    assert (after.features[~silent] == -20).all()
    assert torch.equal(after.frame_target[:, :, 0] == 0, silent)
    # The second class sounds in ten frames alone: a stretch over all of them takes it out of the clip.
    gone = silent[:, :10].all(1)
    assert gone.any() and not gone.all()
    assert torch.equal(after.clip_target, torch.stack([torch.ones(CLIPS), (~gone).float()], dim=1))


def test_labels_under_a_time_mask_can_stay_and_padding_is_not_masked() -> None:
    batch = sounding(n_frames=np.full(CLIPS, 40))
    after = build({"time_mask": {"share": [0.5, 0.5], "labels": False}}).on_features(batch, (0,))
    silent = after.features[:, :, 0] == SETUP.padding
    assert set(silent.sum(1).tolist()) == {20} and not silent[:, 40:].any()
    assert after.frame_target is batch.frame_target or torch.equal(after.frame_target, batch.frame_target)
    assert torch.equal(after.clip_target, batch.clip_target)
    tagged = replace(batch, frame_target=None)
    masked = build({"time_mask": {"share": [1, 1]}}).on_features(tagged, (0,))
    assert (masked.features[:, :40] == SETUP.padding).all() and torch.equal(masked.clip_target, tagged.clip_target)


def test_a_frequency_mask_silences_neighbouring_bins_of_all_frames() -> None:
    batch = sounding(features=np.full((CLIPS, 100, 20), -20.0, np.float32))
    after = build({"frequency_mask": {"share": [0.1, 0.2]}}).on_features(batch, (0,))
    silent = after.features[:, 0] == SETUP.padding
    assert torch.equal(after.features == SETUP.padding, silent[:, None].expand(-1, 100, -1))
    assert set(silent.sum(1).tolist()) == {2, 3, 4} and (silent.int().diff(dim=1).abs().sum(1) <= 2).all()
    assert torch.equal(after.frame_target, batch.frame_target)


@pytest.mark.parametrize("scale", ["db_power", "db_amplitude", "ln_magnitude", "ln_power", "power", "magnitude"])
def test_a_filter_changes_the_level_of_bands_on_any_scale(scale: str) -> None:
    setup = replace(SETUP, scale=scale, n_bins=20)
    batch = sounding(features=np.full((CLIPS, 100, 20), 0.5, np.float32))
    section = {"filter_augment": {"bands": [2, 3], "gain_db": [-4.5, 6.0], "least_bins": 4}}
    after = build(section, setup).on_features(batch, (0,))
    ratio = to_amplitude(after.features, scale) / to_amplitude(batch.features, scale)
    gains = 20 * ratio.log10()
    torch.testing.assert_close(gains, gains[:, :1].expand(-1, 100, -1))
    assert gains.min() >= -4.5 - 1e-3 and gains.max() <= 6 + 1e-3 and gains.max() - gains.min() > 9
    edges = [np.flatnonzero(np.abs(np.diff(row)) > 1e-4) + 1 for row in gains[:, 0].numpy()]
    widths = [np.diff([0, *edge, 20]) for edge in edges]
    assert {len(width) for width in widths} == {2, 3}
    assert min(width.min() for width in widths) == 4
    assert torch.equal(after.frame_target, batch.frame_target)


def test_views_start_with_the_same_mixture_and_hear_it_through_filters_of_their_own() -> None:
    """As a stream has it: the default view's steps, then each view's with its own number."""
    setup = replace(SETUP, n_bins=4)
    mixed = build({"mixup": {"of": "features", "alpha": 1.0}}, setup).on_features(batch_of(6), (3, 0, 7, 0))
    steps = build({"filter_augment": {"bands": [2, 2], "least_bins": 1}}, setup)
    student, teacher = (steps.on_features(mixed, (3, 0, 7, view)) for view in (1, 2))
    assert torch.equal(student.frame_target, teacher.frame_target)
    assert torch.equal(student.clip_target, mixed.clip_target)
    gains = [(view.features - mixed.features)[:, 0] for view in (student, teacher)]
    assert not torch.allclose(gains[0], gains[1], atol=0.1)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"time_mask": {"share": [0.3, 0.1]}}, "share is .0.3, 0.1., expected two rising shares from 0 to 1"),
        ({"frequency_mask": {"share": [0.1, 1.1]}}, "share is .0.1, 1.1."),
        ({"filter_augment": {"bands": [0, 2]}}, "bands is .0, 2. and least_bins 4, expected two rising numbers"),
        ({"filter_augment": {"bands": [2, 3]}}, "3 bands of 4 bins, expected bands that fit into 4 bins"),
    ],
)
def test_options_that_make_no_sense_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(section)
