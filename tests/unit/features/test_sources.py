"""Features of windows: slices of a recording's, or the front end run on what is cut out of its waveform."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.store import write_features
from sedkit.dataio.windows import Windows, lay, windows_at
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.scales import to_amplitude
from sedkit.features.sources import StoredFeatures, Waveforms, open_waveforms, sounding

#: Ten frames for each 0.1 s.
SLICED = LogMel(
    sample_rate=44100,
    n_fft=2048,
    hop_samples=441,
    n_mels=128,
    fmin_hz=0.0,
    fmax_hz=None,
    window_symmetric=False,
    clip_s=None,
)
#: Mel power of windows alone, 1 + samples // hop frames each.
ALONE = replace(SLICED, hop_samples=512, log="none", end_frame=True, edges="window")


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(5 * 44100)).astype(np.float32)


def stored(features: np.ndarray, frontend: LogMel = SLICED) -> StoredFeatures:
    """One recording's features that fill (frames, bins)."""
    return StoredFeatures(features[None], np.zeros(1, np.int64), np.array([len(features)]), frontend)


def dense(source: StoredFeatures | Waveforms) -> Windows:
    """Windows of a second, every tenth of one."""
    grid = source.frontend.window_grid
    return lay(source.n_frames, grid, round(grid.frame_rate_hz), round(grid.frame_rate_hz / 10))


def test_a_slice_is_the_window_alone_wherever_transforms_lie_inside_it(wave) -> None:
    source = stored(SLICED.transform(wave[None])[0])
    sliced = source.features(dense(source))
    assert sliced.shape == (41, 100, 128)
    alone = np.concatenate([SLICED.transform(wave[None, s : s + 44100]) for s in range(0, 176401, 4410)])
    # Half a transform is 2.3 frames: frames 3 to 97 see nothing but the window.
    np.testing.assert_allclose(sliced[:, 3:98], alone[:, 3:98], atol=1e-4)
    assert np.abs(sliced[:, :2] - alone[:, :2]).max() > 0.1


@pytest.mark.parametrize(
    "changes",
    [{}, {"clip_s": 6.0}, {"centre": False}, {"pad_mode": "constant"}, {"end_frame": True}, {"n_fft": 2047}],
    ids=str,
)
def test_waveforms_with_their_surroundings_give_the_slices(wave, changes) -> None:
    frontend = replace(SLICED, **changes)
    source, waves = stored(frontend.transform(wave[None])[0], frontend), Waveforms([wave], np.array([5.0]), frontend)
    windows = lay(np.array([495]), frontend.grid, 100, 79)
    np.testing.assert_allclose(waves.features(windows), source.features(windows), atol=1e-4)
    # The last second of a clip and the silence that it is padded with.
    last = windows_at(frontend.grid, np.zeros(1, np.int64), np.array([4.9]), 100, np.array([500]))
    if frontend.clip_s:
        np.testing.assert_allclose(waves.features(last), source.features(last), atol=1e-4)


def test_windows_that_see_nothing_else_are_librosas_mel_power(wave) -> None:
    source = Waveforms([wave, wave[:30000]], np.array([5.0, 30000 / 44100]), ALONE)
    assert source.n_frames.tolist() == [220500, 30000]
    windows = dense(source)
    assert len(windows) == 42 and windows.first[:3].tolist() == [0, 4410, 8820] and ALONE.window_frames(44100) == 87
    features = source.features(windows)
    for row, piece in (
        (7, wave[30870:74970]),
        (40, wave[176400:]),
        (41, np.concatenate([wave[:30000], np.zeros(14100, np.float32)])),
    ):
        expected = librosa.feature.melspectrogram(y=piece, sr=44100, n_fft=2048, hop_length=512, pad_mode="reflect").T
        np.testing.assert_allclose(features[row], expected, rtol=1e-4, atol=1e-9)


def test_waveforms_are_cut_as_long_as_a_step_needs_them(wave) -> None:
    source = Waveforms([wave], np.array([5.0]), ALONE)
    windows = windows_at(ALONE.window_grid, np.zeros(2, np.int64), np.array([0.5, 4.5]), 44100, source.n_frames)
    cut = source.waveforms(windows, stretch=1.15)
    assert cut.shape == (2, 50715)
    np.testing.assert_array_equal(cut[0], wave[22050 : 22050 + 50715])
    np.testing.assert_array_equal(cut[1, :22050], wave[-22050:])
    assert not cut[1, 22050:].any()


@given(st.lists(st.integers(0, 6), max_size=20))
def test_whole_clips_are_copied_in_any_order(rows: list[int]) -> None:
    features = np.arange(140.0, dtype=np.float32).reshape(7, 5, 4)
    source = StoredFeatures(features, np.arange(7)[::-1], np.full(7, 5), replace(SLICED, n_mels=4))
    copied = source.features(lay(source.n_frames, SLICED.grid, 5, 5).take(np.array(rows, dtype=int)))
    np.testing.assert_array_equal(copied, features[::-1][rows] if rows else np.empty((0, 5, 4)))
    assert not np.shares_memory(copied, features)


def test_what_lies_beyond_the_recording_is_silence() -> None:
    source = stored(np.ones((100, 128), np.float32))
    piece = source.features(windows_at(SLICED.grid, np.zeros(1, np.int64), np.array([0.5]), 100, source.n_frames))[0]
    assert (piece[:50] == 1).all() and (piece[50:] == SLICED.padding).all()


@given(st.integers(0, 40), st.integers(0, 40))
def test_silence_is_found_in_waveforms(first: int, last: int) -> None:
    wave = np.zeros(5 * 44100, np.float32)
    wave[4410 * min(first, last) : 4410 * max(first, last) + 8820] = 0.3
    source = Waveforms([wave], np.array([5.0]), SLICED)
    windows = dense(source)
    sounds = [bool(np.any(wave[f * 441 :][:44100])) for f in windows.first]
    assert sounding(windows, source.power(windows), 60.0).tolist() == sounds


def test_power_of_windows_is_that_of_their_frames(wave) -> None:
    features = SLICED.transform(wave[None])[0]
    source = stored(features)
    windows = dense(source)
    power = (to_amplitude(features.astype(np.float64), "db_power") ** 2).sum(axis=1)
    direct = [power[f : f + 100].mean() for f in windows.first]
    np.testing.assert_allclose(source.power(windows), direct, rtol=1e-6)
    for frontend in (SLICED, ALONE):
        waves = Waveforms([wave], np.array([5.0]), frontend)
        windows, hop = dense(waves), frontend.window_grid.hop_samples
        direct = [np.mean(wave[f * hop : f * hop + 44100].astype(np.float64) ** 2) * hop for f in windows.first]
        np.testing.assert_allclose(waves.power(windows), direct, rtol=1e-6)


def test_quiet_windows_are_told_from_the_loudest_of_their_recording() -> None:
    windows = lay(np.array([30, 30]), SLICED.grid, 10, 10)
    power = np.array([1.0, 1e-5, 1e-7, 1e-9, 1e-10, 1e-14])
    assert sounding(windows, power, 60.0).tolist() == [True, True, False, True, True, True]
    assert sounding(windows, power, 45.0).tolist() == [True, False, False, True, True, False]


def test_clips_are_found_by_name(tmp_path, wave) -> None:
    features = np.arange(3 * 500 * 128, dtype=np.float32).reshape(3, 500, 128)
    write_features(
        tmp_path / "f.h5",
        ["a.wav", "b.wav", "c.wav"],
        features,
        np.array([500, 400, 300]),
        frontend=SLICED.as_dict(),
        frontend_hash=SLICED.hash8,
        scale=SLICED.scale,
        sample_rate=44100,
        hop_samples=441,
    )
    source = StoredFeatures.open(tmp_path / "f.h5", SLICED, ["c.wav", "a.wav"])
    assert source.n_frames.tolist() == [300, 500]
    whole = lay(source.n_frames, SLICED.grid, 500, 500)
    np.testing.assert_array_equal(source.features(whole), features[[2, 0]])
    with pytest.raises(SedkitError, match=r"f.h5: lacks 1 of 2 clips \(d.wav\); run `sedkit extract`"):
        StoredFeatures.open(tmp_path / "f.h5", SLICED, ["a.wav", "d.wav"])


@pytest.mark.parametrize("in_memory", [True, False])
def test_recordings_of_a_data_dir(tmp_path, wave, in_memory) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, wave[:44100] if name == "a.wav" else wave[-44100:], 44100)
    clips = Clips(("a.wav", "b.wav"), tuple(str(tmp_path / n) for n in ("a.wav", "b.wav")), np.ones(2))
    data = write_datadir(tmp_path / "set", clips, Vocabulary(("x",)))
    source = open_waveforms(data, np.array([1, 0]), ALONE, in_memory)
    heard = source.waveforms(dense(source))
    np.testing.assert_allclose(heard, [wave[-44100:], wave[:44100]], atol=2**-15)
