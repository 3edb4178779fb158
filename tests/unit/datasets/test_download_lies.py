"""Downloads from a server that says what is not so: resumed or refused; what is not whole is not put in place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_files import NOISE, zip_of
from download_server import Lie, Server

from sedkit.core.errors import SedkitError
from sedkit.datasets import download as module
from sedkit.datasets.download import Part, download

ARCHIVE = zip_of({"audio/1.wav": NOISE})


@pytest.fixture
def fetch(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Download one archive, of the checksum that is given."""
    server.files["x.zip"] = ARCHIVE

    def call(checksum: str = "unverified") -> Path:
        part = Part(name="p", title="", file="x.zip", url="", place={"audio": "audio"}, checksum=checksum)
        monkeypatch.setattr(module, "parts_of", lambda name, wanted: [part])
        download("desed", tmp_path, base_url=server.url, wait_s=0.0)
        return tmp_path / "audio/1.wav"

    return call


def said(**changed: str | None) -> Lie:
    """Change headers; without one that is None."""

    def lie(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = headers | {name.replace("_", "-"): value for name, value in changed.items() if value is not None}
        return status, {k: v for k, v in headers.items() if changed.get(k.replace("-", "_"), "") is not None}, body

    return lie


def spoilt(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Serve other bytes, as many as there should be."""
    return status, headers, body[:100] + bytes(byte ^ 1 for byte in body[100:200]) + body[200:]


LONGER, SHORTER = said(Content_Length=str(len(ARCHIVE) + 1000)), said(Content_Length="90000")
CHECKSUM = f"md5:{hashlib.md5(ARCHIVE).hexdigest()}"


def test_a_length_that_is_too_large_once_is_asked_about_again(server: Server, fetch: Callable[..., Path]) -> None:
    server.lies = [LONGER]
    assert fetch().read_bytes() == NOISE
    # What is kept, up to a block of 16 kB, is of a file of another length: from the start.
    assert [asked for _, asked in server.asked] == [None, f"bytes={len(ARCHIVE) // 16384 * 16384}-", None]


@pytest.mark.parametrize(
    ("lies", "checksum", "message"),
    [
        ([LONGER] * 5, "unverified", "no connection after 5 tries"),
        ([SHORTER], "unverified", "neither a zip nor a tar archive"),
        ([SHORTER], CHECKSUM, "checksum differs"),
        ([spoilt], "unverified", "cannot be unpacked"),
        ([spoilt], CHECKSUM, "checksum differs"),
    ],
)
def test_what_is_not_the_file_is_refused_and_fetched_by_the_next_call(
    server: Server, fetch: Callable[..., Path], tmp_path: Path, lies: list[Lie], checksum: str, message: str
) -> None:
    server.lies = list(lies)
    with pytest.raises(SedkitError, match=message):
        fetch(checksum)
    assert not (tmp_path / "audio").exists()
    server.lies = []
    assert fetch(checksum).read_bytes() == NOISE


@pytest.mark.parametrize(
    "lie",
    [
        said(Content_Range=f"bytes 0-{len(ARCHIVE) - 1}/{len(ARCHIVE)}"),
        said(Content_Range=f"bytes 16384-99999/{len(ARCHIVE) - 5}", Content_Length=str(len(ARCHIVE) - 16384 - 5)),
        said(Content_Range=None),
    ],
    ids=["from elsewhere", "of another length", "of nothing"],
)
def test_the_rest_of_another_file_is_not_taken(server: Server, fetch: Callable[..., Path], lie: Lie) -> None:
    server.break_after, server.lies = [20_000], [None, lie]
    assert fetch().read_bytes() == NOISE
    # From the start: what was kept may be of the other file.
    assert [asked for _, asked in server.asked] == [None, "bytes=16384-", None]


@pytest.mark.parametrize("length", [None, "many", "-5"])
def test_a_table_whose_length_nobody_says_is_told(
    server: Server, tmp_path: Path, messages: pytest.LogCaptureFixture, length: str | None
) -> None:
    """It may have been cut off anywhere: there is no archive around it, and no checksum."""
    server.files["audioset_strong.tsv"], server.lies = b"filename\n", [said(Content_Length=length)]
    download("desed", tmp_path, parts=["strong"], base_url=server.url)
    assert "does not say how long it is" in messages.text
