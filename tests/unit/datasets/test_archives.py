"""Archives from elsewhere: what is unsafe or broken leaves nothing behind."""

import io
import tarfile
import zipfile

import pytest
from archive_files import NOISE, tar_of, zip_of

from sedkit.core.errors import SedkitError
from sedkit.datasets.archives import unpack


def _write(path, data):
    path.write_bytes(data)
    return path


def _odd_tar(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("audio/x.wav")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return out.getvalue()


def _zip_with_link():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.zip", zip_of({"../x": b"x"}), "outside the folder"),
        ("a.zip", zip_of({"/x": b"x"}), "outside the folder"),
        ("a.zip", zip_of({"a\\..\\..\\x": b"x"}), "outside the folder"),
        ("a.zip", zip_of({"C:/x": b"x"}), "outside the folder"),
        ("a.tar.gz", tar_of({"ok": b"x", "a/../../x": b"x"}), "outside the folder"),
        ("a.tar.gz", _odd_tar(tarfile.SYMTYPE), "link or device"),
        ("a.tar.gz", _odd_tar(tarfile.LNKTYPE), "link or device"),
        ("a.tar.gz", _odd_tar(tarfile.CHRTYPE), "link or device"),
        ("a.zip", _zip_with_link(), "is a link"),
        ("a.zip", b"<html>not found</html>", "neither a zip nor a tar"),
        ("a.tar.gz", tar_of({"x": NOISE})[:-5000], "cannot be unpacked"),
    ],
)
def test_unsafe_and_broken_archives_leave_nothing(tmp_path, name, data, what):
    archive = _write(tmp_path / name, data)
    with pytest.raises(SedkitError, match=what):
        unpack(archive, tmp_path / "in" / "out")
    assert {path.name for path in tmp_path.rglob("*")} <= {name, "in"}


def test_a_header_that_claims_too_little_is_found_out(tmp_path):
    """The sizes in both headers say 100 of 10000 bytes: no more is written, and the checksum tells."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(10000))
    data = whole.getvalue().replace((10000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(SedkitError, match="cannot be unpacked"):
        unpack(_write(tmp_path / "a.zip", data), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_huge_members_are_refused(tmp_path, monkeypatch):
    archive = _write(tmp_path / "a.zip", zip_of({"x": NOISE}))
    with pytest.raises(SedkitError, match=f"{len(NOISE)} bytes, expected at most 1000"):
        unpack(archive, tmp_path / "out", member_limit=1000)
    monkeypatch.setattr("sedkit.datasets.archives.GROWTH_LIMIT", 3)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(4 << 20))
    with pytest.raises(SedkitError, match="would become"):
        unpack(_write(tmp_path / "b.zip", bomb.getvalue()), tmp_path / "out")
    assert not (tmp_path / "out").exists()
