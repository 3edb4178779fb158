"""WAV headers whose lengths are wrong: every sample that is there is read; a file that was cut off is named."""

import struct

import numpy as np
import pytest
import soundfile

from sedkit.core.errors import SedkitError
from sedkit.dataio.audio import audio_info, header_fault, read_audio, write_wav

FRAMES = 301
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64, "PCM_U8": 8, "ULAW": 8}
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"
BEXT = b"bext" + struct.pack("<I", 602) + b"\x01\x7f" * 301
STREAMED = 0xFFFFFFFF


def signal(channels):
    return np.random.default_rng(channels).uniform(-0.9, 0.9, (FRAMES, channels))


def sound_of(folder, subtype, channels):
    """The `fmt ` chunk and the bytes of sound that libsndfile writes, and what it reads back, as one channel."""
    path = folder / "right.wav"
    soundfile.write(path, signal(channels), 8000, subtype=subtype, format="WAV")
    expected = soundfile.read(path, always_2d=True)[0].mean(axis=1)
    raw = path.read_bytes()
    size = struct.unpack_from("<I", raw, 16)[0]
    form = raw[12 : 20 + size]
    at = raw.index(b"data") + 8
    return form, raw[at : at + FRAMES * channels * BITS[subtype] // 8], expected


def wav(form, sound, data=None, riff=None, before=b"", behind=b"", pad=True):
    """A file as it should be, but for the lengths given: numbers, or functions of the right one and of the file's."""
    body = before + form + b"data####" + sound + bytes(len(sound) % 2 if pad else 0) + behind
    size = 12 + len(body)

    def stated(length, right):
        return right if length is None else length(right, size) if callable(length) else length

    data, riff = stated(data, len(sound)), stated(riff, size - 8)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + body.replace(b"####", struct.pack("<I", data), 1)


#: Lengths that the data chunk and the file state.
WRONG = {
    "the length of the file": {"data": lambda right, size: size},
    "the length of the file, less 8": {"data": lambda right, size: size - 8},
    "the length of the file in both": {"data": lambda right, size: size, "riff": lambda right, size: size},
    "the length of the file, and what follows from it": {
        "data": lambda right, size: size,
        "riff": lambda right, size: size + 36,
    },
    "0 after a power loss": {"data": 0, "riff": 0},
    "0, the container's is right": {"data": 0},
    "0, the container holds a header": {"data": 0, "riff": 36},
    "0, the container streamed": {"data": 0, "riff": STREAMED},
    "streamed by FFmpeg": {"data": STREAMED, "riff": STREAMED},
    "streamed by SoX": {"data": 0x7FFFF000, "riff": 0x7FFFF024},
    "streamed by arecord": {"data": 0x80000000, "riff": 0x80000024},
    "streamed, less the header": {"data": STREAMED - 36, "riff": STREAMED},
    "streamed, the container's is 0": {"data": STREAMED, "riff": 0},
    "streamed, the container's is right": {"data": STREAMED},
    "too much for its container": {"data": lambda right, size: right + 4000},
    "too much, the container's is 0": {"data": lambda right, size: right + 4000, "riff": 0},
    "a little too much": {"data": lambda right, size: right + 36},
    "half, not brought up to date": {
        "data": lambda right, size: right // 48 * 24,
        "riff": lambda right, size: right // 48 * 24 + 36,
    },
    "half, the container's is right": {"data": lambda right, size: right // 48 * 24},
}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", BITS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_length_is_read_whole_and_told(tmp_path, wrong, subtype, channels):
    form, sound, expected = sound_of(tmp_path, subtype, channels)
    for name, around in {
        "bare": {},
        "LIST behind": {"behind": LIST},
        "chunks on both sides": {"before": BEXT + LIST, "behind": LIST + BEXT},
    }.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(wav(form, sound, **around, **WRONG[wrong]))
        x = read_audio(path)
        # One byte of padding may look like a sample of 8 bits.
        assert len(x) - FRAMES in ((0, 1) if BITS[subtype] == 8 and len(sound) % 2 else (0,)), name
        np.testing.assert_allclose(x[:FRAMES], expected, atol=1e-7, rtol=0, err_msg=name)
        assert audio_info(path) == (len(x) / 8000, 8000, channels, len(x))
        fault = header_fault(path)
        assert fault.startswith(f"{path}: its header states a wrong length (") and "\n" not in fault


@pytest.mark.parametrize("subtype", BITS)
@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"riff": 0},
        {"riff": STREAMED},
        {"riff": lambda right, size: right + 8},
        {"before": BEXT},
        {"behind": LIST},
        {"behind": LIST[:20]},
        {"behind": b"ID3\x04" + b"\x01" * 60},
        {"behind": b"ID3\x04" + b"\x01" * 60, "pad": False},
        {"behind": b"TAG" + b"a song".ljust(125, b"\0")},
        {"behind": bytes(4096)},
        {"behind": b"xyz"},
        {"pad": False},
        {"pad": False, "behind": LIST},
        {"before": b"junk\x05\0\0\0abcde"},
        {"before": b"junk\x05\0\0\0abcde\0"},
    ],
    ids=range(16),
)
def test_a_right_length_is_believed(tmp_path, raw, subtype):
    form, sound, expected = sound_of(tmp_path, subtype, 1)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(form, sound, **raw))
    np.testing.assert_allclose(read_audio(path), expected, atol=1e-7, rtol=0)
    assert audio_info(path).frames == FRAMES
    assert header_fault(path) == ""


def test_a_file_whose_sound_has_a_length_is_cut_whatever_its_container_says(tmp_path):
    form, sound, _ = sound_of(tmp_path, "PCM_16", 1)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(form, sound, riff=STREAMED)[: -len(sound) // 2])
    with pytest.raises(SedkitError, match="cut off"):
        read_audio(path)


@pytest.mark.parametrize("reader", [read_audio, audio_info, header_fault])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("lost", [10, 700, 1204 // 2])
@pytest.mark.parametrize("around", [{}, {"behind": LIST}, {"before": BEXT}])
def test_a_cut_file_is_an_error(tmp_path, around, lost, subtype, reader):
    form, sound, _ = sound_of(tmp_path, subtype, 2)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(form, sound, **around)[: -lost - len(around.get("behind", b""))])
    with pytest.raises(SedkitError, match=f"cut off: its header announces {len(sound)} bytes of sound, .*fetch it"):
        reader(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("more", [1, 10, 30, len(LIST)])
def test_metadata_that_the_header_counts_in_are_no_sound(tmp_path, more, subtype):
    form, sound, expected = sound_of(tmp_path, subtype, 2)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(form, sound, data=lambda right, size: right + more, behind=LIST))
    np.testing.assert_allclose(read_audio(path), expected, atol=1e-7, rtol=0)
    assert "states a wrong length" in header_fault(path)


def test_a_partial_frame_at_the_end_is_left_out(tmp_path):
    form, sound, expected = sound_of(tmp_path, "PCM_16", 2)
    for name, length in (("right", None), ("streamed", STREAMED)):
        (tmp_path / f"{name}.wav").write_bytes(wav(form, sound[:-2], data=length))
        np.testing.assert_allclose(read_audio(tmp_path / f"{name}.wav"), expected[:-1], atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", [b"RF64", b"BW64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("stated", ["right", "zero", "streamed", "file"])
def test_long_files(tmp_path, kind, subtype, stated):
    form, sound, expected = sound_of(tmp_path, subtype, 2)
    size = 12 + 36 + len(form) + 8 + len(sound)
    riff, data = {
        "right": (size - 8, len(sound)),
        "zero": (0, 0),
        "streamed": (STREAMED, STREAMED),
        "file": (size - 8, size),
    }[stated]
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff, data, FRAMES, 0)
    head = struct.pack("<4sI4s", kind, STREAMED, b"WAVE") + sizes + form
    path = tmp_path / "a.wav"
    path.write_bytes(head + struct.pack("<4sI", b"data", STREAMED) + sound)
    np.testing.assert_allclose(read_audio(path), expected, atol=1e-7, rtol=0)
    assert audio_info(path).frames == FRAMES
    assert (header_fault(path) == "") == (stated == "right")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(path.read_bytes()[:-200])
    if stated == "right":
        with pytest.raises(SedkitError, match="cut off"):
            read_audio(cut)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("data", ["right", 0, 24, 2**63 - 1, 2**64 - 1, "file"])
def test_wave64(tmp_path, subtype, data):
    path = tmp_path / "a.w64"
    soundfile.write(path, signal(2), 8000, subtype=subtype, format="W64")
    expected = soundfile.read(path, always_2d=True)[0].mean(axis=1)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data\xf3\xac\xd3\x11") + 16
    if data != "right":
        del raw[at + 8 + FRAMES * 2 * BITS[subtype] // 8 :]
        struct.pack_into("<Q", raw, at, len(raw) if data == "file" else data)
        struct.pack_into("<Q", raw, 16, len(raw) if data == "file" else 0)
    path.write_bytes(raw)
    np.testing.assert_allclose(read_audio(path), expected, atol=1e-7, rtol=0)
    assert (header_fault(path) == "") == (data == "right")


def test_nothing_behind_the_header(tmp_path):
    form, _, _ = sound_of(tmp_path, "PCM_16", 1)
    for length, behind in ((0, b""), (0, LIST), (STREAMED, b""), (0, BEXT + LIST)):
        (tmp_path / "a.wav").write_bytes(wav(form, b"", data=length, behind=behind))
        for reader in (read_audio, audio_info):
            with pytest.raises(SedkitError, match="0 samples"):
                reader(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(wav(form, b"", data=16000, riff=16036))
    with pytest.raises(SedkitError, match="cut off"):
        read_audio(tmp_path / "a.wav")


def test_other_formats_have_no_such_fault(tmp_path):
    soundfile.write(tmp_path / "a.flac", signal(1), 8000)
    write_wav(tmp_path / "a.wav", signal(1), 8000)
    assert header_fault(tmp_path / "a.flac") == header_fault(tmp_path / "a.wav") == ""
    with pytest.raises(SedkitError, match="no such file"):
        header_fault(tmp_path / "none.wav")


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64"])
def test_any_damage_to_a_header_is_read_or_named(tmp_path, kind):
    soundfile.write(tmp_path / "right.wav", signal(2), 8000, subtype="PCM_16", format=kind)
    whole = (tmp_path / "right.wav").read_bytes()
    path = tmp_path / "a.wav"
    for at in range(min(len(whole), 140)):
        for value in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x01"):
            path.write_bytes(whole[:at] + value + whole[at + len(value) :])
            for reader in (read_audio, audio_info, header_fault):
                try:
                    reader(path)
                except SedkitError as error:
                    said = str(error)
                    assert said.startswith(f"{path}: ") and said.isprintable()
