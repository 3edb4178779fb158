"""Broken files that are no text: HDF5, WAV, zips, checkpoints."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from tests.full.fuzz.texts import ODD, Bytes, spoilt


@st.composite
def hdf5s(draw: st.DrawFn, valid: Callable[[], bytes]) -> Bytes:
    """Change a valid HDF5 file: data sets and attributes gone, of another kind or shape, not finite; or its bytes."""
    file, header = io.BytesIO(valid()), True
    with h5py.File(file, "r+") as store:
        for _ in range(draw(st.integers(0, 2))):
            if draw(st.integers(0, 2)) and len(store.attrs):
                name = draw(st.sampled_from(sorted(store.attrs)))
                how = draw(st.integers(0, 2))
                del store.attrs[name]
                if how:
                    store.attrs[name] = draw(
                        st.sampled_from([-1, 0, 2.5, "x", "{", "[]", np.zeros(3), b"\xff", 10**18])
                    )
            elif len(store):
                name = draw(st.sampled_from(sorted(store)))
                if not isinstance(store[name], h5py.Dataset):
                    continue
                value = store[name][()]
                del store[name]
                header = False
                _put(store, name, value, draw)
    content = file.getvalue()
    if draw(st.integers(0, 3)) == 0:
        content = draw(spoilt(content))
    return Bytes(content, header)


def _put(store: h5py.File, name: str, value: Any, draw: st.DrawFn) -> None:
    how = draw(st.integers(0, 7))
    value = np.asarray(value)
    if how == 0:
        return
    if how == 1:
        store.create_group(name)
    elif how == 2:
        store[name] = np.arange(3)
    elif how == 3:
        store[name] = value[None]
    elif how == 4 and value.ndim:
        store[name] = value[:-1]
    elif how == 5 and value.dtype.kind in "fi":
        store[name] = np.where(np.arange(value.size).reshape(value.shape) % 3, value, -1).astype(value.dtype)
    elif how == 6 and value.dtype.kind == "f":
        store[name] = np.full_like(value, draw(st.sampled_from([np.nan, np.inf, -1.0, 2.0])))
    elif value.dtype.kind in "fi":
        store[name] = value.astype(draw(st.sampled_from(["S8", "f2", "i1", "u8", "c8", "?"])))
    else:
        store[name] = np.zeros(value.shape)


@st.composite
def wavs(draw: st.DrawFn) -> Bytes:
    """Draw a WAV file whose header says what is not so."""

    def mostly(usual: Any, *odd: Any) -> Any:
        return draw(st.sampled_from(odd)) if draw(st.integers(0, 9)) == 0 else usual

    channels, rate = mostly(1, 2, 0, 65535), mostly(16000, 44100, 8000, 1, 0, 2**31)
    bits, kind = mostly(16, 24, 8, 32, 0, 17, 65535), mostly(1, 3, 0xFFFE, 7, 0)
    block = mostly(channels * bits // 8 % 65536, 0, 3)
    fmt = struct.pack("<HHIIHH", kind, channels, rate, (rate * block) % 2**32, block, bits)
    fmt = fmt[: mostly(16, 14, 2)]
    sound = draw(st.binary(max_size=64)) + b"\0" * draw(st.sampled_from([0, 100, 3200]))
    sizes = {
        name: mostly(real, 0, 1, real + 1, real * 2, 2**32 - 1, 2**31)
        for name, real in (("fmt ", len(fmt)), ("data", len(sound)), ("LIST", 4))
    }
    parts = {"fmt ": fmt, "data": sound, "LIST": b"INFO"}
    order = mostly(("fmt ", "data"), ("fmt ", "LIST", "data"), ("data", "fmt "), ("data",), ("fmt ",))
    body = b"WAVE" + b"".join(name.encode() + struct.pack("<I", sizes[name]) + parts[name] for name in order)
    size = mostly(len(body), 0, 2**32 - 1, len(body) // 2)
    magic = mostly(b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3\x04")
    content = magic + struct.pack("<I", size) + body
    if draw(st.integers(0, 3)) == 0:
        content = draw(spoilt(content))
    return Bytes(content, magic == b"RIFF" and order[0] == "fmt " and len(fmt) == 16)


@st.composite
def zips(draw: st.DrawFn, valid: Callable[[], Mapping[str, bytes]]) -> Bytes:
    """Change a valid zip: members gone, twice, elsewhere, spoilt; places that lead out of it; its bytes."""
    kept, header = dict(valid()), True
    extra: list[tuple[str, bytes]] = []
    for _ in range(draw(st.integers(0, 3))):
        if not kept:
            break
        name = draw(st.sampled_from(sorted(kept)))
        how = draw(st.integers(0, 5))
        if how == 0:
            del kept[name]
            header = False
        elif how == 1:
            kept[name] = draw(spoilt(kept[name]))
        elif how == 2:
            extra.append((name, kept[name]))
        elif how == 3:
            kept[draw(st.sampled_from(ODD)).replace("\0", "0") + name] = kept.pop(name)
        elif how == 4:
            extra.append(
                (draw(st.sampled_from(["../out.txt", "/out.txt", "a/../../b", "a\\b", "x/" * 200 + "y"])), b"x")
            )
        else:
            text = kept[name].decode("utf-8", "replace")
            words = text.split()
            if words:
                text = text.replace(draw(st.sampled_from(words)), draw(st.sampled_from(ODD)), 1)
            kept[name] = text.encode("utf-8", "replace")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]))) as archive:
        for name, content in [*kept.items(), *extra]:
            archive.writestr(zipfile.ZipInfo(name[:60000] or "x"), content)
    whole = file.getvalue()
    if draw(st.integers(0, 4)) == 0:
        whole = draw(spoilt(whole))
    return Bytes(whole, header)


@st.composite
def spoilt_files(draw: st.DrawFn, valid: Callable[[], bytes]) -> Bytes:
    """Spoil the bytes of a valid file."""
    return Bytes(draw(spoilt(valid())), True)
