"""Audio files: what is read equals what soundfile and librosa read; what is broken is named."""

import struct

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.audio import audio_info, read_audio, read_excerpt, write_wav


def noise(samples, channels=1, seed=0):
    x = np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, channels))
    return x[:, 0] if channels == 1 else x


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.ogg", "VORBIS"),
    ],
)
def test_reads_the_mean_of_the_channels(tmp_path, name, subtype, channels):
    path = tmp_path / name
    soundfile.write(path, noise(3001, channels), 8000, subtype=subtype)
    expected = soundfile.read(path, always_2d=True)[0].mean(axis=1)
    x = read_audio(path)
    assert x.dtype == np.float32 and x.flags.c_contiguous
    np.testing.assert_allclose(x, expected, atol=1e-7, rtol=0)
    assert audio_info(path) == (3001 / 8000, 8000, channels, 3001)


def test_resamples_as_librosa_does(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(44100), 44100, subtype="PCM_16")
    x, rate = soundfile.read(path)
    expected = librosa.resample(x, orig_sr=rate, target_sr=32000)
    np.testing.assert_allclose(read_audio(path, 32000), expected, atol=1e-6)
    assert len(read_audio(path, 44100)) == 44100


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", "PCM_24"), ("a.flac", "PCM_16")]
)
@pytest.mark.parametrize(("rate", "wanted"), [(8000, 8000), (44100, 32000), (48000, 32000), (8000, 11025)])
def test_a_part_is_what_the_whole_has_there(tmp_path, name, subtype, rate, wanted):
    path = tmp_path / name
    soundfile.write(path, noise(120_000, 2), rate, subtype=subtype)
    whole = soundfile.read(path)[0].mean(axis=1)
    whole = whole if rate == wanted else librosa.resample(whole, orig_sr=rate, target_sr=wanted)
    for first, samples in ((0, 500), (30_000, 1), (33_333, 12_345), (len(whole) - 100, 500), (len(whole) + 50, 10)):
        part = read_excerpt(path, wanted, first, samples)
        assert part.dtype == np.float32
        np.testing.assert_allclose(part, whole[first : first + samples], atol=2e-6, rtol=0)
    np.testing.assert_array_equal(read_excerpt(path, wanted, 0, len(whole)), read_audio(path, wanted))


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=200), st.sampled_from([8000, 44100]))
@settings(max_examples=30, deadline=None)
def test_a_pcm16_file_is_written_back_bit_for_bit(tmp_path_factory, samples, rate):
    folder = tmp_path_factory.mktemp("wav")
    soundfile.write(folder / "a.wav", np.array(samples, dtype=np.int16), rate)
    write_wav(folder / "b.wav", read_audio(folder / "a.wav"), rate)
    assert (folder / "b.wav").read_bytes() == (folder / "a.wav").read_bytes()


def test_writes_channels_clips_and_refuses_nan(tmp_path):
    x = np.array([[0.5, 2.0], [-0.25, -3.0]])
    write_wav(tmp_path / "a.wav", x, 16000)
    y, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(y, [[16384, 32767], [-8192, -32768]])
    with pytest.raises(SedkitError, match="b.wav.*NaN"):
        write_wav(tmp_path / "b.wav", np.array([np.nan]), 16000)
    assert not list(tmp_path.glob("*b.wav*"))


def wav_with(chunks, size=None):
    body = b"".join(
        struct.pack("<4sI", name, len(data) if length is None else length) + data for name, data, length in chunks
    )
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body) if size is None else size, b"WAVE") + body


FORM = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
EXTENSIBLE = struct.pack(
    "<HHIIHHHHIH14s", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 4, 1, bytes.fromhex("000000001000800000aa00389b71")
)
SOUND = np.arange(-50, 50, dtype="<i2").tobytes()


@pytest.mark.parametrize(
    "raw",
    [
        wav_with([(b"LIST", b"x" * 9000, None), (b"fmt ", FORM, None), (b"data", SOUND, None)]),
        wav_with([(b"fmt ", EXTENSIBLE, None), (b"data", SOUND, None)]),
        wav_with([(b"fmt ", FORM, None), (b"data", SOUND, 0xFFFFFFFF)], size=0xFFFFFFFF),
        wav_with([(b"fmt ", FORM, None), (b"data", SOUND, None), (b"LIST", b"after", None)]),
    ],
    ids=["long header", "extensible", "streamed", "chunk behind"],
)
def test_reads_every_kind_of_riff_header(tmp_path, raw):
    (tmp_path / "a.wav").write_bytes(raw)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), np.arange(-50, 50, dtype=np.float32) / 32768)
    assert audio_info(tmp_path / "a.wav").frames == 100


def end_of(path):
    """Read from the second half on."""
    return read_excerpt(path, 8000, 6000, 100_000)


def cut(path, keep):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


@pytest.mark.parametrize("reader", [read_audio, audio_info, end_of])
@pytest.mark.parametrize(
    ("name", "subtype", "keep", "reason"),
    [
        ("a.wav", "PCM_16", 0.5, "cut off.*announces 16000 bytes"),
        ("a.wav", "PCM_24", 0.5, "cut off"),
        ("a.wav", "FLOAT", 0.9, "cut off"),
        ("a.wav", "PCM_16", 0.001, "not audio|cut off"),
        ("a.wav", "PCM_16", 0.0, "zero bytes"),
        ("a.flac", "PCM_16", 0.5, "cut off|not audio"),
    ],
)
def test_a_cut_file_is_named(tmp_path, reader, name, subtype, keep, reason):
    path = tmp_path / name
    soundfile.write(path, noise(8000), 8000, subtype=subtype)
    cut(path, keep)
    with pytest.raises(SedkitError, match=f"{name}.*({reason})") as caught:
        reader(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", [read_audio, audio_info, end_of])
def test_what_is_not_sound_is_named(tmp_path, reader):
    (tmp_path / "text.wav").write_text("not a sound\n" * 100)
    (tmp_path / "none.wav").write_bytes(wav_with([(b"fmt ", FORM, None), (b"data", b"", None)]))
    soundfile.write(tmp_path / "none24.wav", np.zeros(0), 8000, subtype="PCM_24")
    for name, reason in [
        ("text.wav", "not audio"),
        ("none.wav", "0 samples"),
        ("none24.wav", "0 samples"),
        ("absent.wav", "no such file"),
    ]:
        with pytest.raises(SedkitError, match=f"{name}.*({reason})"):
            reader(tmp_path / name)
    with pytest.raises(SedkitError, match=str(tmp_path)):
        reader(tmp_path)


def test_refuses_nan_and_an_unknown_resampler(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(SedkitError, match="nan.wav.*NaN"):
        read_audio(tmp_path / "nan.wav")
    with pytest.raises(SedkitError, match="quick.*exact, fast"):
        read_audio(tmp_path / "nan.wav", 16000, resampler="quick")


def test_a_name_that_begins_with_a_dash_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_wav("-a.wav", noise(10), 8000)
    assert len(read_audio("-a.wav")) == 10


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_flac_that_does_not_tell_its_length_is_read(tmp_path, channels, subtype):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(80001, channels), 8000, subtype=subtype)
    expected = soundfile.read(path, always_2d=True)[0].mean(axis=1)
    raw = bytearray(path.read_bytes())
    # STREAMINFO: 36 bits of samples from the second half of byte 21 on; 0 stands for "unknown", written to a pipe.
    raw[21:26] = bytes([raw[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(raw)
    np.testing.assert_allclose(read_audio(path), expected, atol=1e-7, rtol=0)
    np.testing.assert_allclose(read_excerpt(path, 8000, 70000, 5), expected[70000:70005], atol=1e-7, rtol=0)
    assert audio_info(path) == (80001 / 8000, 8000, channels, 80001)
    cut(path, 0.5)
    for reader in (read_audio, audio_info, end_of):
        with pytest.raises(SedkitError, match="a.flac"):
            reader(path)
