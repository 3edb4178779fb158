"""Log-mel against librosa in double precision, to the tolerance that the design sets."""

import os
import subprocess
import sys

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
import yaml

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.audio import read_audio
from sedkit.features.frontends import frontend_from
from sedkit.features.frontends.logmel import LogMel

RATE, SAMPLES = 32000, 320000


def librosa_logmel(x):
    """Section 3.2 of the published system, in librosa's terms and double precision."""
    x = np.concatenate([x, np.zeros(max(0, SAMPLES - len(x)))]).astype(np.float64)
    spectrum = librosa.stft(
        x, n_fft=1024, hop_length=500, window=np.hanning(1024), center=True, pad_mode="reflect", dtype=np.complex128
    )
    bank = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=64, fmin=50, fmax=14000, dtype=np.float64)
    return librosa.power_to_db((bank @ np.abs(spectrum[:, : len(x) // 500]) ** 2).T, ref=1.0, amin=1e-10, top_db=None)


def check(features, expected):
    """1e-4 dB for cells less than 60 dB below the clip's maximum, 0.1 dB elsewhere."""
    assert features.dtype == np.float32 and features.shape == expected.shape
    error = np.abs(features - expected)
    loud = expected > expected.max() - 60
    assert error[loud].max() < 1e-4
    assert error.max() < 0.1
    # The design of double transforms and single products holds this much more.
    assert error.max() < 3e-5


def signals():
    rng = np.random.default_rng(0)
    t = np.arange(SAMPLES) / RATE

    def low_pass(limit_hz):
        spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
        spectrum[int(limit_hz * 10) :] = 0
        x = np.fft.irfft(spectrum)
        return x / np.abs(x).max()

    def raised(rate):
        return soxr.resample(rng.uniform(-1, 1, rate * 10), rate, RATE)

    return {
        "noise": rng.standard_normal(SAMPLES) * 0.1,
        "loud noise": rng.uniform(-1, 1, SAMPLES),
        "faint noise": rng.standard_normal(SAMPLES) * 1e-6,
        "tone": np.sin(2 * np.pi * 1000 * t),
        "tone between bins": np.sin(2 * np.pi * 1013.7 * t),
        "low tone": np.sin(2 * np.pi * 50 * t),
        "high tone": np.sin(2 * np.pi * 13000 * t),
        "tone bursts": np.sin(2 * np.pi * 440 * t) * (t % 1 < 0.3),
        "two tones 80 dB apart": np.sin(2 * np.pi * 300 * t) + 1e-4 * np.sin(2 * np.pi * 9000 * t),
        "sweep": np.sin(2 * np.pi * (50 * t + 697.5 * t**2)),
        "clicks": (np.arange(SAMPLES) % 7001 == 0).astype(float),
        "below 500 Hz": low_pass(500),
        "below 2 kHz": low_pass(2000),
        "8 kHz recording": raised(8000),
        "16 kHz recording": raised(16000),
        "offset": np.full(SAMPLES, 0.5),
        "short": rng.standard_normal(100000) * 0.1,
        "long": rng.standard_normal(400000) * 0.1,
        "silence": np.zeros(SAMPLES),
    }


@pytest.mark.parametrize("name", list(signals()))
def test_is_librosa_in_double_precision(name):
    x = signals()[name].astype(np.float32)
    check(LogMel().transform(x[None])[0], librosa_logmel(x))


def test_is_librosa_on_real_recordings(shared, tmp_path):
    paths = sorted((shared / "realaudio/clips").rglob("*.flac"))[::23]
    assert len(paths) > 10
    for path in paths:
        x, rate = soundfile.read(path, always_2d=True)
        expected = librosa_logmel(librosa.resample(x.mean(axis=1), orig_sr=rate, target_sr=RATE))
        check(LogMel().transform(read_audio(path, RATE)[None])[0], expected)


def test_single_precision_differs_where_it_says():
    x = signals()["sweep"].astype(np.float32)
    expected = librosa_logmel(x)
    error = np.abs(LogMel().transform(x[None], "single")[0] - expected)
    assert error[expected > expected.max() - 60].max() < 1e-3
    assert 0.01 < error.max() < 1.0
    with pytest.raises(SedkitError, match="half.*double, single"):
        LogMel().transform(x[None], "half")


def test_a_batch_is_its_clips():
    x = np.random.default_rng(0).standard_normal((3, 50000)).astype(np.float32)
    frontend = LogMel(clip_s=None)
    together = frontend.transform(x)
    assert together.shape == (3, 100, 64)
    for clip, features in zip(x, together, strict=True):
        np.testing.assert_array_equal(frontend.transform(clip[None])[0], features)
    with pytest.raises(SedkitError, match=r"\(batch, samples\)"):
        frontend.transform(x[0])


def published(shared_docs, index):
    text = shared_docs.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    return frontend_from(list(yaml.safe_load_all(text))[index]["frontend"])


def test_the_2019_baseline_is_librosas_magnitude_mel(repository):
    frontend = published(repository / "docs/features.md", 1)
    x = np.random.default_rng(0).standard_normal(441000) * 0.1
    spectrum = np.abs(librosa.stft(x, n_fft=2048, hop_length=511, window=np.hamming(2048), pad_mode="reflect"))
    mel = librosa.feature.melspectrogram(S=spectrum, sr=44100, n_mels=64, fmin=0, fmax=22050, htk=False, norm=None)
    expected = librosa.amplitude_to_db(mel, ref=1.0, amin=1e-5, top_db=None).T[:864]
    np.testing.assert_allclose(frontend.transform(x[None].astype(np.float32))[0], expected, atol=1e-4)
    assert (frontend.scale, frontend.frames_for(10)) == ("db_amplitude", 864)


def test_the_2021_baseline_is_an_htk_bank_without_norm(repository):
    frontend = published(repository / "docs/features.md", 2)
    x = np.random.default_rng(0).standard_normal(160000) * 0.1
    spectrum = np.abs(librosa.stft(x, n_fft=2048, hop_length=256, window=np.hamming(2048), pad_mode="reflect"))
    bank = librosa.filters.mel(
        sr=16000, n_fft=2048, n_mels=128, fmin=0, fmax=8000, htk=True, norm=None, dtype=np.float64
    )
    expected = 20 * np.log10(np.maximum(1e-5, bank @ spectrum)).T
    assert expected.shape == (626, 128) == (frontend.frames_for(10), frontend.n_bins)
    np.testing.assert_allclose(frontend.transform(x[None].astype(np.float32))[0], expected, atol=1e-4)


def test_the_segmentation_system_is_scipys_spectrogram(repository):
    frontend = published(repository / "docs/features.md", 3)
    x = np.random.default_rng(0).standard_normal(SAMPLES) * 0.1
    _, _, spectrum = scipy.signal.spectrogram(
        x, window=np.hamming(2048), nperseg=2048, noverlap=1024, detrend=False, mode="magnitude", scaling="density"
    )
    bank = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=64, fmin=50, fmax=16000, dtype=np.float64)
    # scipy folds the negative frequencies into a one-sided density only for mode "psd".
    expected = np.log(bank @ spectrum + 1e-8).T
    assert expected.shape == (311, 64)
    np.testing.assert_allclose(frontend.transform(x[None].astype(np.float32))[0], expected, atol=1e-4)
    assert frontend.scale == "ln_magnitude"


def test_windows_alone_are_librosas_mel_spectrogram(repository):
    frontend = published(repository / "docs/features.md", 5)
    x = np.random.default_rng(0).standard_normal((2, 44100)) * 0.1
    expected = librosa.feature.melspectrogram(y=x, sr=44100, pad_mode="reflect").transpose(0, 2, 1)
    assert expected.shape == (2, 87, 128) and not frontend.sliceable
    np.testing.assert_allclose(frontend.transform_windows(x.astype(np.float32)), expected, rtol=1e-4, atol=1e-9)
    assert (frontend.scale, frontend.padding, frontend.highest_hz) == ("power", 0, 22050)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
@pytest.mark.parametrize(("n_fft", "win_length"), [(512, None), (512, 400), (511, 300)])
@pytest.mark.parametrize(("samples", "end_frame"), [(7013, False), (7013, True), (7040, False), (7040, True)])
def test_every_framing_is_librosas(centre, pad_mode, n_fft, win_length, samples, end_frame):
    x = np.random.default_rng(0).standard_normal(samples)
    frontend = LogMel(
        sample_rate=16000,
        n_fft=n_fft,
        win_length=win_length,
        hop_samples=160,
        window="hann",
        window_symmetric=False,
        centre=centre,
        pad_mode=pad_mode,
        n_mels=20,
        fmax_hz=None,
        log="none",
        clip_s=None,
        end_frame=end_frame,
    )
    spectrum = librosa.stft(
        x, n_fft=n_fft, hop_length=160, win_length=win_length, window="hann", center=centre, pad_mode=pad_mode
    )
    bank = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=20, fmin=50, dtype=np.float64)
    expected = (bank @ np.abs(spectrum) ** 2).T
    features = frontend.transform(x[None])[0]
    # Without the end frame, a clip of 44 hops loses the frame that is centred on its last sample.
    frames = len(expected) if end_frame else min(len(expected), 44)
    assert len(features) == frontend.frames_for(samples / 16000) == frames
    np.testing.assert_allclose(features, expected[: len(features)], rtol=2e-5)
    assert frontend.scale == "power"


def test_the_tiniest_clip_has_a_frame():
    for centre in (True, False):
        frontend = LogMel(clip_s=None, centre=centre)
        assert frontend.transform(np.full((1, 1), 0.5, dtype=np.float32)).shape == (1, 1, 64)
        assert frontend.transform(np.zeros((2, 0), dtype=np.float32)).shape == (2, 1, 64)


def test_frames_and_padding():
    frontend = LogMel()
    assert [frontend.frames_for(s) for s in (3, 10, 12, 15)] == [640, 640, 768, 960] and frontend.clip_frames == 640
    assert [frontend.valid_frames(s) for s in (0.001, 3, 9.999, 10, 10.5)] == [1, 192, 640, 640, 672]
    ends = LogMel(end_frame=True)
    assert [ends.frames_for(s) for s in (3, 10, 12)] == [641, 641, 769] and ends.valid_frames(3) == 192
    whole = LogMel(clip_s=None)
    assert [whole.frames_for(s) for s in (1 / 64, 3, 10.5)] == [1, 192, 672]
    short = frontend.transform(np.zeros((1, 5), dtype=np.float32))
    assert (short == frontend.padding).all() and frontend.padding == pytest.approx(-100)
    assert LogMel(log="ln", floor=1e-8).padding == pytest.approx(np.log(1e-8))
    assert LogMel(log="none").padding == 0
    assert [LogMel(log=log, spectrum=s).scale for log in ("db", "ln", "none") for s in ("power", "magnitude")] == [
        "db_power",
        "db_amplitude",
        "ln_power",
        "ln_magnitude",
        "power",
        "magnitude",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fft": 0}, "n_fft is 0"),
        ({"win_length": 2000}, "win_length is 2000, expected 1 to n_fft = 1024"),
        ({"fmax_hz": 20000}, "fmax_hz 20000"),
        ({"fmin_hz": 15000}, "fmin_hz 15000"),
        ({"floor": 0}, "floor is 0"),
        ({"clip_s": -1}, "clip_s is -1"),
        ({"n_mels": 400}, "filters lie between two bins"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        LogMel(**changes)


def test_the_number_of_threads_decides_no_bit() -> None:
    code = (
        "import hashlib, numpy as np\nfrom sedkit.features.frontends import frontend_from\n"
        "x = np.random.default_rng(0).standard_normal((1, 160000), dtype=np.float32)\n"
        "print(hashlib.sha256(frontend_from({'name': 'logmel'}).transform(x).tobytes()).hexdigest())"
    )

    def digest(threads: int) -> str:
        variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, check=True)
        return done.stdout.decode()

    assert digest(1) == digest(4)
