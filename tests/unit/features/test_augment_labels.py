"""Augmentation: the labels follow their sounds."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
from augment_case import RATE, SETUP, batch_of, build, done


def test_speed_moves_frame_targets() -> None:
    target = np.zeros((1, 125, 2), np.float32)
    target[0, 50, 0] = target[0, 51, 1] = 1
    steps = build({"speed": {"factor": [1.25, 1.25]}})
    after = steps.on_waveform(batch_of(1, round(1.25 * RATE), frame_target=target), (0,)).frame_target[0, :100]
    # [0.50, 0.51) s becomes [0.400, 0.408) s; [0.51, 0.52) s becomes [0.408, 0.416) s, which touches two frames.
    assert torch.nonzero(after).tolist() == [[40, 0], [40, 1], [41, 1]]
    target = np.roll(target, -40, axis=1)
    slow = build({"speed": {"factor": [0.5, 0.5]}}).on_waveform(batch_of(1, frame_target=target[:, :100]), (0,))
    assert torch.nonzero(slow.frame_target[0]).tolist() == [[20, 0], [21, 0], [22, 1], [23, 1]]
    # The window's end has come nearer than the events.
    fast = build({"speed": {"factor": [2, 2]}}).on_waveform(batch_of(1, frame_target=np.ones((1, 100, 2), "f")), (0,))
    assert fast.frame_target[0, :, 0].tolist() == [1] * 50 + [0] * 50


def test_what_speed_moves_out_of_the_window_is_no_label_of_it() -> None:
    target = np.zeros((1, 200, 2), np.float32)
    target[0, 60:70, 0] = 1
    target[0, 150:160, 1] = 1
    whole = {"frame_target": target, "clip_target": np.array([[1, 0]], "f")}
    slow = build({"speed": {"factor": [0.5, 0.5]}}).on_waveform(batch_of(1, **whole), (0,))
    assert slow.clip_target.tolist() == [[0, 0]]
    fast = build({"speed": {"factor": [2, 2]}})
    assert fast.on_waveform(batch_of(1, 2 * RATE, **whole), (0,)).clip_target.tolist() == [[1, 1]]
    # Ten frames of 10 ms become five, which is no longer enough.
    least = build({"speed": {"factor": [2, 2]}}, replace(SETUP, least_s=0.05))
    assert least.on_waveform(batch_of(1, 2 * RATE, **whole), (0,)).clip_target.tolist() == [[0, 0]]
    alone = batch_of(1, frame_target=None, clip_target=np.array([[1, 0]], "f"))
    assert fast.on_waveform(alone, (0,)).clip_target.tolist() == [[1, 0]]


def test_speed_counts_real_frames_anew() -> None:
    batch = batch_of(2, round(1.25 * RATE), n_frames=np.array([41, 125]))
    assert build({"speed": {"factor": [1.25, 1.25]}}).on_waveform(batch, (0,)).n_frames.tolist() == [33, 100]
    assert build({"speed": {"factor": [0.8, 0.8]}}).on_waveform(batch, (0,)).n_frames.tolist() == [52, 100]


def eye(n=6, frames=3):
    """Clips that tell in every tensor which one they are."""
    one = np.eye(n, dtype=np.float32)
    tiled = np.repeat(one[:, None], frames, axis=1)
    return batch_of(n, features=tiled, waveform=one, clip_target=one, frame_target=tiled, n_frames=np.arange(n))


def test_mixup_mixes_labels_with_the_weights_of_the_sounds() -> None:
    for of in ("waveform", "features"):
        after = done(build({"mixup": {"alpha": 1.0, "of": of}}), eye())
        mixed = after.waveform if of == "waveform" else after.features[:, 0]
        assert torch.equal(after.clip_target, mixed)
        assert torch.equal(after.frame_target, mixed[:, None].expand(-1, 3, -1))
        torch.testing.assert_close(mixed.sum(1), torch.ones(6))
        assert ((mixed > 0).sum(1) <= 2).all() and ((mixed > 0.01) & (mixed < 0.99)).any()
        # The clip is as long as the longer one of the two.
        assert after.n_frames.tolist() == [int(torch.nonzero(row).max()) for row in mixed]
        untouched = after.features if of == "waveform" else after.waveform
        assert torch.equal(untouched, eye().features if of == "waveform" else eye().waveform)


def test_hard_mixup_gives_the_union() -> None:
    after = build({"mixup": {"alpha": 1.0, "hard": True}}).on_waveform(eye(), (0,))
    assert torch.equal(after.clip_target, (after.waveform > 0).float())
    assert torch.equal(after.frame_target[:, 0], (after.waveform > 0).float())


def test_weights_of_mixup_are_of_the_beta_distribution() -> None:
    n = 1000
    after = build({"mixup": {"alpha": 0.2}}).on_waveform(replace(eye(n, 1), features=None, frame_target=None), (0,))
    own = after.waveform.diagonal()
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2a + 1)).
    assert float(own.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(own.var()) == pytest.approx(1 / (4 * 1.4), abs=0.02)


def mixed_with(seed: int = 0, **options: object) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, embeddings and labels of clips that tell which one they are."""
    batch = eye()
    batch = replace(batch, embeddings={"e": batch.features.clone()})
    after = build({"mixup": {"alpha": 1.0, "of": "features", **options}}).on_features(batch, (seed,))
    assert torch.equal(after.frame_target[:, 1], after.clip_target)
    return after.features[:, 0], after.embeddings["e"][:, 0], after.clip_target


def test_mixup_of_a_batch_is_drawn_once() -> None:
    done_for = 0
    for seed in range(40):
        features, embeddings, labels = mixed_with(seed, draw="batch", probability=0.5)
        assert torch.equal(features, embeddings) and torch.equal(features, labels)
        others = [row for i, row in enumerate(features) if row[i] != 1]
        done_for += bool(others)
        # One weight for all, and each clip is somebody's partner.
        assert len({round(float(row.max()), 5) for row in others}) <= 1
        torch.testing.assert_close(features.sum(0), torch.ones(6))
    assert 10 <= done_for <= 30


def test_embeddings_are_kept_or_mixed_apart_as_published() -> None:
    """2023: labels of two sounds, embeddings of one. 2024: labels are mixed by both draws, one after the other."""
    for draw in ("clip", "batch"):
        features, embeddings, labels = mixed_with(embeddings="kept", draw=draw)
        assert torch.equal(embeddings, torch.eye(6)) and torch.equal(labels, features)
        assert not torch.equal(features, torch.eye(6))
    features, embeddings, labels = mixed_with(embeddings="apart", draw="batch")
    assert not torch.equal(features, embeddings)
    torch.testing.assert_close(labels, embeddings @ features)


AMPLITUDES = {"ln_magnitude": np.exp, "ln_power": lambda x: np.exp(x / 2), "power": np.sqrt, "magnitude": np.array}


@pytest.mark.parametrize("scale", ["db_power", "db_amplitude", *AMPLITUDES])
def test_amplitudes_are_mixed_and_noisy_on_every_scale(scale: str) -> None:
    to_amplitude = AMPLITUDES.get(scale, librosa.db_to_amplitude)
    features = np.random.default_rng(0).uniform(0.1, 3, (2, 50, 4)).astype(np.float32)
    setup = replace(SETUP, scale=scale)
    after = build({"mixup": {"alpha": 5.0, "of": "amplitude"}}, setup).on_features(eye(2), (5,))
    weight = after.clip_target.numpy()
    after = build({"mixup": {"alpha": 5.0, "of": "amplitude"}}, setup).on_features(batch_of(2, features=features), (5,))
    expected = np.einsum("cd,dfb->cfb", weight, to_amplitude(features))
    np.testing.assert_allclose(to_amplitude(after.features.numpy()), expected, rtol=1e-5)
    assert 0.01 < weight.min() < 0.99
    noisy = build({"amplitude_noise": {"std": 0.5}}, setup).on_features(batch_of(2, features=features), (0,))
    noise = to_amplitude(noisy.features.numpy()) - to_amplitude(features)
    # |N(0, s)| has the mean s * sqrt(2 / pi).
    assert noise.min() > -1e-5 and noise.mean() == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.08)


def test_time_shift_rolls_real_frames_with_their_targets() -> None:
    place = np.tile(np.arange(100.0, dtype=np.float32)[None, :, None], (300, 1, 1))
    n_frames = np.where(np.arange(300) < 150, 100, 60)
    batch = batch_of(300, features=place, frame_target=place / 100, n_frames=n_frames)
    after = build({"time_shift": {"most_s": 0.05}}).on_features(batch, (0,))
    shifts = set()
    for x, n in zip(after.features[:, :, 0].numpy(), n_frames, strict=True):
        shift = int(30 - x[30])
        shifts.add(shift)
        np.testing.assert_array_equal(x, np.concatenate([np.roll(np.arange(n), shift), np.arange(n, 100)]))
    assert shifts == set(range(-5, 6))
    torch.testing.assert_close(after.frame_target, after.features / 100)
    assert torch.equal(after.clip_target, batch.clip_target) and torch.equal(after.waveform, batch.waveform)
