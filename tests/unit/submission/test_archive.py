"""Packages that must not be trusted, and zips whose bytes depend on their content alone."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from submission_packages import CLIP_LIST, as_folder, as_zip, correct

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.submission.check import check_package, examine_package
from sedkit.submission.findings import REFUSED
from sedkit.submission.formats import get_format
from sedkit.submission.package import Limits, Package, UnsafePackage, write_zip

GIB = 2**30


def refused(path: Path, limits: Limits | None = None) -> list[str]:
    """Kinds of findings; nothing may have been written beside the package."""
    before = sorted(path.parent.rglob("*"))
    found = examine_package(path, get_format("dcase2019"), CLIP_LIST, limits=limits).findings
    assert sorted(path.parent.rglob("*")) == before
    assert {f.severity for f in found} == {REFUSED}
    return [f.kind for f in found]


@pytest.mark.parametrize(
    "name", ["../evil.tsv", "a/../../evil.tsv", "/etc/evil.tsv", "..\\evil.tsv", "C:/evil.tsv", "a/..", ".", "./"]
)
def test_paths_that_leave_the_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for good, data in correct("dcase2019").items():
            archive.writestr(good, data)
        archive.writestr(name, b"x")
    assert refused(path) == ["zip_unsafe_path"]
    assert not (tmp_path.parent / "evil.tsv").exists()


def test_the_command_refuses_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.tsv", b"x")
    assert main(["check", str(path), "--format", "dcase2019"]) == 1
    assert "../evil.tsv: leaves the folder" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == [path]


def test_names_do_not_reach_the_terminal_as_they_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = as_zip(correct("dcase2019") | {"Okafor_UNI_task4_1/\x1b[2J\n.exe": b""}, tmp_path / "p.zip")
    main(["check", str(path), "--format", "dcase2019"])
    said = capsys.readouterr().out
    assert "\\x1b[2J\\n.exe" in said
    assert "\x1b" not in said


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("Okafor_UNI_task4_1/link.output.csv")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert refused(path) == ["symlink"]


def test_a_link_in_a_folder(tmp_path: Path) -> None:
    folder = as_folder(correct("dcase2019"), tmp_path / "p")
    (folder / "Okafor_UNI_task4_1" / "more.tsv").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    assert refused(folder) == ["symlink", "symlink"]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    folder = as_folder(correct("dcase2019"), tmp_path / "p")
    os.mkfifo(folder / "Okafor_UNI_task4_1" / "pipe.tsv")
    assert refused(folder) == ["special_file"]


def test_a_device_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a/fifo")
        info.external_attr = (stat.S_IFIFO | 0o666) << 16
        archive.writestr(info, b"")
    assert refused(path) == ["zip_special_file"]


def test_a_member_of_ten_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Okafor_UNI_task4_1/Okafor_UNI_task4_1.output.csv", b"0" * 1000)
        archive.filelist[0].file_size = 10 * GIB
    assert path.stat().st_size < 10_000
    assert refused(path) == ["too_large"]


def test_a_member_that_grows_beyond_the_limit(tmp_path: Path) -> None:
    name = "Okafor_UNI_task4_1/Okafor_UNI_task4_1.output.csv"
    path = as_zip({name: b"0" * 3_000_000}, tmp_path / "p.zip")
    assert refused(path, Limits(member_bytes=1_000_000)) == ["too_large"]
    assert refused(path, Limits(total_bytes=1_000_000)) == ["too_large"]
    assert refused(as_folder({name: b"0" * 3_000_000}, tmp_path / "d"), Limits(member_bytes=1_000_000)) == ["too_large"]


def test_a_directory_that_lies_about_a_size(tmp_path: Path) -> None:
    """The directory says 100 bytes, 3 MB come out."""
    name = b"Okafor_UNI_task4_1/Okafor_UNI_task4_1.output.csv"
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name.decode(), b"0" * 3_000_000)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature)
        assert struct.unpack_from("<I", data, place + at)[0] == 3_000_000
        struct.pack_into("<I", data, place + at, 100)
    path.write_bytes(data)
    assert refused(path) == ["zip_broken"]


def test_members_without_number(tmp_path: Path) -> None:
    path = as_zip({f"a/{i}": b"" for i in range(20)}, tmp_path / "p.zip")
    assert refused(path, Limits(members=19)) == ["zip_too_many_members"]


def test_broken_encrypted_and_repeated(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(b"PK\x03\x04 this is no zip")
    assert refused(path) == ["zip_broken"]
    whole = as_zip(correct("dcase2019"), tmp_path / "whole.zip").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path) == ["zip_broken"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b", b"x")
        archive.filelist[0].flag_bits |= 1
    assert refused(path) == ["zip_encrypted"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b", b"x")
        archive.filelist.append(archive.filelist[0])
    assert refused(path) == ["zip_duplicate_member"]


def test_what_is_neither_folder_nor_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no such folder or zip"):
        check_package(tmp_path / "nothing", get_format("dcase2019"))
    assert main(["check", str(tmp_path / "nothing"), "--format", "dcase2019"]) == 2
    (tmp_path / "notes.txt").write_text("no package")
    assert main(["check", str(tmp_path / "notes.txt"), "--format", "dcase2019"]) == 2
    assert "neither a folder nor a zip" in capsys.readouterr().err
    assert main(["check", str(tmp_path), "--format", "dcase2091"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_reading_counts_bytes(tmp_path: Path) -> None:
    path = as_zip({"a/b": b"0" * 100}, tmp_path / "p.zip")
    with Package(path) as package:
        assert package.read("a/b") == b"0" * 100
        with pytest.raises(SedkitError, match="no member"):
            package.read("a/c")
    with Package(path, Limits(member_bytes=100)) as package:
        assert len(package.read("a/b")) == 100
    with pytest.raises(UnsafePackage), Package(path, Limits(member_bytes=99)):
        pass


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    files = correct("dcase2019")
    write_zip(tmp_path / "one.zip", files)
    write_zip(tmp_path / "two.zip", dict(reversed(files.items())))
    folder = as_folder(files, tmp_path / "folder")
    write_zip(tmp_path / "three.zip", {name: folder / name for name in files})
    data = [(tmp_path / f"{name}.zip").read_bytes() for name in ("one", "two", "three")]
    assert data[0] == data[1] == data[2]
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.testzip() is None


def test_a_failed_zip_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    write_zip(path, {"a": b"1"})
    before = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        write_zip(path, {"a": tmp_path / "missing"})
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path]
