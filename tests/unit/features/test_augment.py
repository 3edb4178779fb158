"""Augmentation: what is drawn hangs on the seed alone, and the labels follow their sounds."""

from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import soxr
import torch

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.features.augment import Augmentations, AugmentSetup, sets_read
from sedkit.features.augment.steps import quiet_stretches
from sedkit.features.batch import StreamBatch

RATE = 16000
#: Frames of 10 ms, windows of 1 s.
SETUP = AugmentSetup(RATE, TimeGrid(RATE, 160), "db_power", RATE, Path(), ("Cat", "Dog"), frames=100)
STEPS = {
    "gain": {"level_db": [-30, 0]},
    "noise": {"snr_db": [0, 10]},
    "background": {"set": "home", "snr_db": [0, 10]},
    "speed": {"factor": [0.8, 1.25]},
    "pitch": {"semitones": [-2, 3]},
    "mixup": {"alpha": 1.0},
    "amplitude_noise": {"std": 0.1},
    "time_shift": {"most_s": 0.2},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> AugmentSetup:
    """A set of two soundscapes, with events in one of them, and one of tagged clips."""
    root = tmp_path_factory.mktemp("data")
    names = ("x.wav", "y.wav")
    for name in names:
        # Each sample says where it is.
        write_wav(root / name, (np.arange(1, 4 * RATE + 1) / (4 * RATE + 1)).astype(np.float32), RATE)
    clips = Clips(names, tuple(str(root / name) for name in names), np.full(2, 4.0))
    rows = [("x.wav", 0.5, 1.5, "Speech"), ("x.wav", 1.0, 2.25, "Dog"), ("y.wav", None, None, None)]
    labels = ("Speech", "Dog")
    write_datadir(root / "home", clips, Vocabulary(labels), strong=Events.from_rows(rows, labels))
    write_datadir(root / "tags", clips, Vocabulary(labels), weak=Tags(names, labels, np.eye(2, dtype=bool)))
    return replace(SETUP, data_root=root)


def build(section, setup=SETUP):
    return Augmentations.from_section(section, setup)


def batch_of(clips=6, samples=RATE, seed=0, **tensors):
    rng = np.random.default_rng(seed)
    frames = samples // 160
    frame_target = (rng.random((clips, frames, 2)) > 0.5).astype(np.float32)
    values = {
        "features": rng.uniform(-90, 0, (clips, frames, 4)).astype(np.float32),
        "n_frames": np.full(clips, frames),
        "clip_target": frame_target.max(axis=1),
        "frame_target": frame_target,
        "waveform": (0.1 * rng.standard_normal((clips, samples))).astype(np.float32),
    } | tensors
    return StreamBatch(**{name: None if x is None else torch.tensor(x) for name, x in values.items()})


def done(steps, batch, seed=(0, 0, 0, 0)):
    return steps.on_features(steps.on_waveform(batch, seed), seed)


def same(a: StreamBatch, b: StreamBatch) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in vars(a))


@pytest.mark.parametrize("name", STEPS)
def test_the_seed_alone_decides(name: str, home: AugmentSetup) -> None:
    steps, batch = build({name: STEPS[name]}, home), batch_of()
    first = done(steps, batch, (3, 1, 7, 0))
    np.random.seed(1)
    torch.manual_seed(1)
    done(steps, batch, (3, 1, 8, 0))
    assert same(first, done(build({name: STEPS[name]}, home), batch, (3, 1, 7, 0)))
    # Another seed, stream, step or view draws anew.
    for other in ((4, 1, 7, 0), (3, 0, 7, 0), (3, 1, 6, 0), (3, 1, 7, 1)):
        assert not same(first, done(steps, batch, other))
    assert same(batch, batch_of())


@pytest.mark.parametrize("name", STEPS)
def test_probability_is_that_of_each_clip(name: str, home: AugmentSetup) -> None:
    batch = batch_of(clips=40, samples=RATE // 5)
    steps = build({name: {**STEPS[name], "probability": 0.3}}, replace(home, samples=RATE // 5, frames=20))
    after = done(steps, batch)
    pairs = [(after.waveform, batch.waveform), (after.features, batch.features)]
    changed = sum((x != y).flatten(1).any(1) for x, y in pairs)
    # Binomial of 40 and 0.3: 4 to 20 but for 3 in a thousand.
    assert 4 <= int(changed.bool().sum()) <= 20
    assert torch.equal(after.frame_target[changed == 0], batch.frame_target[changed == 0])


def test_steps_are_done_in_order_each_with_its_own_draws() -> None:
    gain, noise = {"gain": {"level_db": [-20, -20]}}, {"noise": {"snr_db": [0, 0]}}
    batch, seed = batch_of(), (0, 0, 0, 0)
    both = build(gain | noise).on_waveform(batch, seed).waveform
    power = 0.1**2 * batch.waveform.square().mean(1)
    added = both - 0.1 * batch.waveform
    torch.testing.assert_close(added.square().mean(1), power)
    # The first step draws the same, whatever follows.
    assert torch.equal(
        build(noise).on_waveform(batch, seed).waveform * 0.1, build(noise | gain).on_waveform(batch, seed).waveform
    )


def test_gain_by_hand() -> None:
    batch = batch_of(clips=200, samples=160)
    after = build({"gain": {"level_db": [-30, -10]}}).on_waveform(batch, (0,))
    gain_db = 20 * torch.log10(after.waveform / batch.waveform)
    torch.testing.assert_close(gain_db, gain_db[:, :1].expand(-1, 160), atol=1e-3, rtol=0)
    assert -30.01 < gain_db.min() < -28 and -12 < gain_db.max() < -9.99


def snr_of(clip, mixed):
    clip, mixed = clip.double(), mixed.double()
    return (10 * torch.log10(clip.square().mean(1) / (mixed - clip).square().mean(1))).numpy()


@pytest.mark.parametrize("name", ["noise", "background"])
def test_the_ratio_is_the_one_asked_for(name: str, home: AugmentSetup) -> None:
    levels = np.random.default_rng(0).uniform(0.01, 0.5, (40, 1))
    batch = batch_of(clips=40, waveform=(np.random.default_rng(1).standard_normal((40, RATE)) * levels).astype("f"))
    for snr_db in ([6, 6], [0, 20]):
        step = {name: {**STEPS[name], "snr_db": snr_db}}
        ratio = snr_of(batch.waveform, build(step, home).on_waveform(batch, (0,)).waveform)
        if snr_db == [6, 6]:
            np.testing.assert_allclose(ratio, 6, atol=0.01)
        else:
            assert -0.01 < ratio.min() < 3 and 17 < ratio.max() < 20.01
    silence = batch_of(waveform=np.zeros((6, RATE), "f"))
    assert not build({name: STEPS[name]}, home).on_waveform(silence, (0,)).waveform.any()


def test_noise_is_white_and_normal() -> None:
    batch = batch_of(clips=20)
    noise = build({"noise": {"snr_db": [0, 0]}}).on_waveform(batch, (0,)).waveform - batch.waveform
    noise = noise / noise.square().mean(1, keepdim=True).sqrt()
    assert abs(float(noise.pow(4).mean()) - 3) < 0.05
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean())) < 0.01


def test_a_background_is_an_excerpt(home: AugmentSetup) -> None:
    batch = batch_of(clips=60)
    added = build({"background": {**STEPS["background"], "snr_db": [20, 20]}}, home).on_waveform(batch, (0,)).waveform
    added = (added - batch.waveform).double().numpy()
    # The recordings are ramps: level over slope is the place. Sounds of x.wav end at 2.25 s.
    slope = np.polyfit(np.arange(RATE), added.T, 1)[0]
    first_s = (added.mean(axis=1) / slope - RATE / 2) / RATE
    assert first_s.min() > -0.01 and first_s.max() < 3.01 and len(set(first_s.round(2))) > 20


def test_a_stretch_that_is_shorter_than_the_window_is_repeated(home: AugmentSetup) -> None:
    batch = batch_of(clips=9, samples=5 * RATE)
    step = {"background": {**STEPS["background"], "snr_db": [0, 0], "least_s": 4.0}}
    added = build(step, home).on_waveform(batch, (0,)).waveform - batch.waveform
    # y.wav alone is quiet for 4 s.
    torch.testing.assert_close(added[:, 4 * RATE :], added[:, :RATE], atol=1e-6, rtol=1e-5)
    with pytest.raises(SedkitError, match="no stretch of 5.00 s"):
        build({"background": {**step["background"], "least_s": 5.0}}, home)


def test_quiet_stretches_hold_no_event(home: AugmentSetup) -> None:
    stretches = quiet_stretches(DataDir(home.data_root / "home"), RATE, 1.0)
    assert sorted(len(x) / RATE for x in stretches) == [1.75, 4.0]
    with pytest.raises(UsageError, match="has no events"):
        build({"background": {"set": "tags", "snr_db": [0, 0]}}, home)


def test_backgrounds_are_of_the_fold_that_is_trained_on(home: AugmentSetup, tmp_path: Path) -> None:
    clips = replace(DataDir(home.data_root / "home").clips, fold=("train", "tune"))
    data = DataDir(home.data_root / "home")
    audio = tuple(str(data.audio_path(i)) for i in range(2))
    write_datadir(tmp_path / "folds", replace(clips, audio=audio), data.labels, strong=data.strong())
    setup = replace(home, data_root=tmp_path)
    for folds, lengths in ((None, [1.75]), (["tune"], [4.0]), (["train", "tune"], [1.75, 4.0])):
        section = {"background": {"set": "folds", "snr_db": [0, 0], "folds": folds}}
        (step,) = build(section, setup).waveform_steps
        assert sorted(len(x) / RATE for x in step.stretches) == lengths


def test_speed_is_soxrs_and_librosas() -> None:
    long = round(1.25 * RATE)
    time_s = np.arange(long) / RATE
    waveform = np.sin(2 * np.pi * np.array([[500.0], [1000.0]]) * time_s).astype(np.float32)
    for factor in (1.25, 0.8):
        steps = build({"speed": {"factor": [factor, factor]}})
        assert steps.stretch == max(1, factor)
        played = steps.on_waveform(batch_of(2, long, waveform=waveform), (0,)).waveform[:, :RATE].numpy()
        for x, y in zip(waveform, played, strict=True):
            np.testing.assert_array_equal(y, soxr.resample(x, RATE * factor, RATE)[:RATE])
            other = librosa.resample(x, orig_sr=RATE * factor, target_sr=RATE, res_type="polyphase")[:RATE]
            np.testing.assert_allclose(y[800:-800], other[800:-800], atol=5e-3)


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


def test_pitch_is_librosas_for_each_clip() -> None:
    batch = batch_of(8, RATE // 2)
    shifted = build({"pitch": {"semitones": [-2, 3]}}).on_waveform(batch, (0,)).waveform.numpy()
    taken = set()
    for x, y in zip(batch.waveform.numpy(), shifted, strict=True):
        same_as = [
            semitones
            for semitones in (-2, 3)
            if np.allclose(y, librosa.effects.pitch_shift(x, sr=RATE, n_steps=semitones, res_type="soxr_hq"), atol=1e-5)
        ]
        assert len(same_as) == 1
        taken.update(same_as)
    assert taken == {-2, 3}


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


def test_streams_without_some_tensors_are_changed_as_well(home: AugmentSetup) -> None:
    waves = batch_of(features=None, frame_target=None, clip_target=None)
    waves = build({name: STEPS[name] for name in list(STEPS)[:6]}, home).on_waveform(waves, (0,))
    assert waves.features is None and waves.clip_target is None and waves.waveform.isfinite().all()
    features = batch_of(waveform=None, frame_target=None, clip_target=None)
    section = {"mixup": {"of": "features"}, "time_shift": {"most_s": 1}, "amplitude_noise": {"std": 1}}
    features = build(section, replace(SETUP, samples=0)).on_features(features, (0,))
    assert features.waveform is None and features.features.isfinite().all()


def test_sections_are_checked(home: AugmentSetup) -> None:
    speed = {"speed": {"factor": [0.9, 1.1]}}
    steps = build(speed | {"background": STEPS["background"], "time_shift": {"most_s": 1}}, home)
    assert steps.stretch == 1.1
    assert [len(steps.waveform_steps), len(steps.feature_steps)] == [2, 1]
    assert sets_read({"background": {"set": "a/b"}, "gain": None}) == {"a/b": None} and sets_read(None) == {}
    assert sets_read({"background": {"set": "a/b", "folds": ["1"]}}) == {"a/b": ["1"]}
    for section, told in (
        ({"time_shift": {"most_s": 1}} | speed, "speed changes waveforms, expected it before time_shift"),
        ({"mixup": {"of": "amplitude"}} | speed, "speed changes waveforms, expected it before mixup"),
        ({"mixupp": {}}, 'augment: unknown key .mixupp. .did you mean "mixup"'),
        ({"mixup": {"alpha": 0}}, "augment.mixup: alpha is 0 and of 'waveform'"),
        ({"mixup": {"of": "mel"}}, "augment.mixup: alpha is 0.2 and of 'mel'"),
        ({"noise": {"snr_db": [3]}}, "augment.noise: .*2 elements"),
        ({"noise": {}}, "augment.noise: key 'snr_db' is missing"),
        ({"gain": {"level_db": [0, 1], "probability": 0}}, "augment.gain: probability is 0"),
        ({"speed": {"factor": [0.4, 1]}}, "augment.speed: factor is"),
        ({"pitch": {"semitones": [0]}}, "augment.pitch: semitones is"),
    ):
        with pytest.raises(UsageError, match=told):
            build(section)
    with pytest.raises(UsageError, match="noise changes waveforms, expected source: waveforms"):
        build({"noise": STEPS["noise"]}, replace(SETUP, samples=0))
