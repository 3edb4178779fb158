"""WAV headers: where the sound of a file lies, whatever lengths its header states.

Lengths are the last that a recorder or a program writes. One that lost its power leaves 0 there, one that writes to a
pipe the largest number there is, and some write the length of the file in place of that of the sound. The length of the
file tells such a header, behind which every sample is there, from a file that was cut off.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sedkit.core.errors import SedkitError

_RIFF = (b"RIFF", b"RF64", b"BW64")
# Sony Wave64: names are GUIDs that begin with the four letters, lengths have 64 bits and count the chunk's header.
_W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
_W64_WAVE = b"wave" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
_UNKNOWN_32 = 0xFFFFFFFF
#: Programs that write to a pipe leave a number about as near as this to the largest that fits (SoX: 0x7FFFF000).
_NEAR = 0x1000
_LONGEST_FORM = 4096
_FARTHEST = 1 << 62
#: Chunks of metadata and tags that stand behind the sound.
_METADATA = re.compile(
    rb"LIST|bext|cue |fact|smpl|inst|JUNK|junk|PAD |FLLR|iXML|axml|chna|levl|PEAK|_PMX|acid|umid|cart|wamd|guan|afsp|"
    rb"id3 |ID3 |plst|DISP|minf|elm1|regn|SAUR|strc|MARK"
)
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")
#: No metadata is looked for farther from the end of a file; where the header seems right, not farther than this.
_LONGEST_TAIL, _SHORT_TAIL = 1 << 20, 1 << 10


@dataclass(frozen=True)
class Wav:
    """What a WAV file holds.

    Attributes
    ----------
    form
        Content of the `fmt ` chunk.
    offset, length
        First byte of the sound, and bytes of sound in the file.
    fault
        What is wrong with the lengths in the header, in one line; ``""`` where nothing is.
    usual
        libsndfile finds the sound in the file as it stands.
    """

    form: bytes
    offset: int
    length: int
    fault: str = ""
    usual: bool = True

    def riff(self, sound: bytes) -> bytes:
        """Return a file with the sound behind a right header."""
        form = struct.pack("<4sI", b"fmt ", len(self.form)) + self.form + bytes(len(self.form) % 2)
        long = len(sound) + len(form) > _UNKNOWN_32 - 64
        if long:
            sizes = struct.pack("<4sIQQQI", b"ds64", 28, 4 + 36 + len(form) + 8 + len(sound), len(sound), 0, 0)
            head = struct.pack("<4sI4s", b"RF64", _UNKNOWN_32, b"WAVE") + sizes
        else:
            head = struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + len(sound), b"WAVE")
        return head + form + struct.pack("<4sI", b"data", _UNKNOWN_32 if long else len(sound)) + sound


class _Chunk(NamedTuple):
    name: bytes
    begin: int
    length: int


def read_wav_header(file: BinaryIO, path: Path) -> Wav | None:
    """Find the sound of a WAV file (RIFF, RF64, BW64, Wave64); None where it is no WAV.

    Raises
    ------
    SedkitError
        The file is empty, or cut off: its header states, without a contradiction, more than the file holds.
    """
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise SedkitError(f"{path}: zero bytes, expected audio (fetch it again, or leave it out)")
    head = file.read(40)
    wide = head[:16] == _W64_RIFF and head[24:40] == _W64_WAVE
    if not wide and (head[:4] not in _RIFF or head[8:12] != b"WAVE"):
        return None
    stated = struct.unpack_from("<Q", head, 16)[0] if wide else struct.unpack_from("<I", head, 4)[0] + 8
    at, form, long, usual = 40 if wide else 12, b"", None, head[:4] != b"BW64"
    while (chunk := _chunk_at(file, at, wide)) is not None:
        if chunk.name == b"data":
            length = chunk.length
            if long is not None and length == _UNKNOWN_32:
                stated, length = long[0] + 8, long[1]
            wav = _sound(file, path, size, stated, chunk._replace(length=length), wide)
            return replace(wav, form=form, usual=usual and not wav.fault)
        if chunk.name == b"fmt ":
            form = file.read(min(chunk.length, _LONGEST_FORM))
        elif chunk.name == b"ds64":
            sizes = file.read(16)
            long = struct.unpack("<QQ", sizes) if len(sizes) == 16 else None
        at = _behind(file, chunk, wide)
        usual = usual and at % 2 == 0
    raise SedkitError(f"{path}: cut off: a WAV header without sound behind it (fetch it again)")


def _chunk_at(file: BinaryIO, at: int, wide: bool) -> _Chunk | None:
    file.seek(min(at, _FARTHEST))
    head = file.read(24 if wide else 8)
    if len(head) < (24 if wide else 8) or not _is_name(head[:4]):
        return None
    if wide:
        return _Chunk(head[:4], at + 24, max(0, struct.unpack_from("<Q", head, 16)[0] - 24))
    return _Chunk(head[:4], at + 8, struct.unpack_from("<I", head, 4)[0])


def _behind(file: BinaryIO, chunk: _Chunk, wide: bool) -> int:
    """Return where the next chunk begins: filled up to whole words, which some writers forget."""
    end = chunk.begin + chunk.length
    if wide:
        return end + -end % 8
    file.seek(end)
    return end + (chunk.length % 2 and not _is_name(file.read(4)))


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _sound(file: BinaryIO, path: Path, size: int, stated: int, chunk: _Chunk, wide: bool) -> Wav:
    """Believe the header, or the file's length, or neither."""
    begin, length = chunk.begin, chunk.length
    left = size - begin
    if length <= left:
        empty = length == 0 and (not left or _is_metadata(file, begin, size, wide))
        if empty or (length and _ends_there(file, size, chunk, wide)):
            return Wav(b"", begin, length)
    elif not (
        _unset(length)
        or stated < begin + length  # more than its container
        or length in (size, size - 8)  # the length of the file in place of the sound's
        or stated == size + 8  # the container takes itself for whole, and counts its own header
    ):
        raise SedkitError(
            f"{path}: cut off: its header announces {length} bytes of sound, {left} are there (fetch it again)"
        )
    end = size if wide else _begin_of_metadata(file, begin, size)
    fault = f"{path}: its header states a wrong length ({length} bytes of sound, {end - begin} are there): read whole"
    return Wav(b"", begin, end - begin, fault)


def _unset(length: int) -> bool:
    """Tell whether a length was never filled in: nothing, or about the most that the field holds."""
    return length <= 0 or any(abs(length - (1 << bits)) <= _NEAR for bits in (31, 32, 63, 64))


def _ends_there(file: BinaryIO, size: int, chunk: _Chunk, wide: bool) -> bool:
    """Tell whether what follows a data chunk is none of its sound: a chunk, a tag, silence, nothing to speak of."""
    end = chunk.begin + chunk.length
    file.seek(end)
    rest = file.read(_LONGEST_TAIL)
    if len(rest) < (24 if wide else 8):
        # Some count the metadata behind the sound in.
        return wide or _begin_of_metadata(file, chunk.begin, size, _SHORT_TAIL) == size
    if not rest.strip(b"\0") or rest.lstrip(b"\0").startswith(_TAGS):
        return True
    return _is_metadata(file, _behind(file, chunk, wide), size, wide)


def _is_metadata(file: BinaryIO, at: int, size: int, wide: bool) -> bool:
    """Tell whether a chunk begins at a place: one that is known, or any that ends within the file."""
    chunk = _chunk_at(file, at, wide)
    return chunk is not None and (_METADATA.fullmatch(chunk.name) is not None or chunk.begin + chunk.length <= size)


def _begin_of_metadata(file: BinaryIO, begin: int, size: int, within: int = _LONGEST_TAIL) -> int:
    """Return where chunks begin that reach exactly to the end of a file, or its end."""
    first = max(begin, size - within)
    file.seek(first)
    tail = file.read()
    for match in _METADATA.finditer(tail):
        at = match.start()
        while at + 8 <= len(tail) and _is_name(tail[at : at + 4]):
            length = struct.unpack_from("<I", tail, at + 4)[0]
            at += 8 + length
            if length % 2 and at < len(tail) and not _is_name(tail[at : at + 4]):
                at += 1
        if at == len(tail):
            return first + match.start()
    return size
