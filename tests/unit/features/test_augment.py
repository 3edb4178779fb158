"""Augmentation: what is drawn hangs on the seed alone, and the sounds are as asked for."""

from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import soxr
import torch
from augment_case import RATE, SETUP, STEPS, batch_of, build, done

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.features.augment import AugmentSetup, sets_read
from sedkit.features.augment.steps import quiet_stretches
from sedkit.features.batch import StreamBatch


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


def same(a: StreamBatch, b: StreamBatch) -> bool:
    alike = a.joined(lambda columns: torch.tensor(torch.equal(*columns)), b)
    return all(bool(value) for value in vars(alike).values() if isinstance(value, torch.Tensor))


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
        ({"mixup": {"embeddings": "apart"}}, "embeddings is apart and draw clip, expected draw: batch"),
        ({"mixup": {"draw": "all"}}, "draw"),
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
