"""Downloads against a server on this machine that can break off, change its files, and ignore ranges."""

import hashlib
import json
import logging
from argparse import ArgumentParser
from pathlib import Path

import pytest
from archive_files import NOISE, tar_of, zip_of

from sedkit.cli import download as verb
from sedkit.core.errors import SedkitError, UsageError
from sedkit.datasets import download as module
from sedkit.datasets.download import Part, download, parts_of, registry


@pytest.fixture(autouse=True)
def messages(caplog):
    caplog.set_level(logging.INFO, logger="sedkit")
    return caplog


@pytest.fixture
def esc50(server):
    files = {"ESC-50-master/meta/esc50.csv": b"filename,fold\n", "ESC-50-master/audio/1-1-A-0.wav": NOISE}
    server.files["ESC-50-master.zip"] = zip_of(files)
    return server


def _desed(server):
    server.files["audioset_metadata.tar.gz"] = tar_of({"metadata/train/weak.tsv": b"filename\tevent_labels\n"})
    server.files["Synthetic_dataset.zip"] = zip_of(
        {"audio/train/synthetic/1.wav": NOISE, "synthetic_dataset.csv": b"filename\tonset\toffset\tevent_label\n"}
    )
    server.files["DESEDpublic_eval.tar.gz"] = tar_of(
        {"dataset/audio/eval/public/a_0_10.wav": NOISE, "dataset/metadata/eval/public.tsv": b"filename\n"}
    )


def test_all_default_parts_land_in_the_official_layout(server, tmp_path, messages):
    _desed(server)
    download("desed", tmp_path / "d", base_url=server.url)
    found = sorted(str(path.relative_to(tmp_path / "d")) for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert [name for name in found if not name.startswith(".")] == [
        "audio/eval/public/a_0_10.wav",
        "audio/train/synthetic/1.wav",
        "download.json",
        "metadata/eval/public.tsv",
        "metadata/train/synthetic.csv",
        "metadata/train/weak.tsv",
    ]
    assert not (tmp_path / "d/.download").exists()
    record = json.loads((tmp_path / "d/download.json").read_text())
    data = server.files["Synthetic_dataset.zip"]
    assert record["Synthetic_dataset.zip"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["Synthetic_dataset.zip"]["verified"] is False
    assert "nobody states its checksum" in messages.text


def test_a_second_call_fetches_nothing(esc50, tmp_path):
    download("esc50", tmp_path, base_url=esc50.url)
    assert (tmp_path / "audio/1-1-A-0.wav").read_bytes() == NOISE
    asked = len(esc50.asked)
    assert download("esc50", tmp_path, base_url=esc50.url) == []
    assert len(esc50.asked) == asked


def test_a_lost_connection_is_taken_up_where_it_broke(esc50, tmp_path):
    esc50.break_after = [40_000, 50_000]
    download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    first, second, third = (asked for _, asked in esc50.asked)
    assert first is None
    # What arrived is kept up to a block of 16 kB.
    assert second == f"bytes={40_000 // 16384 * 16384}-"
    held = 40_000 // 16384 * 16384 + 50_000 // 16384 * 16384
    assert third == f"bytes={held}-"
    assert (tmp_path / "audio/1-1-A-0.wav").read_bytes() == NOISE


def test_an_interrupted_call_is_taken_up_by_the_next(esc50, tmp_path):
    esc50.break_after = [30_000] + [0] * 4
    with pytest.raises(SedkitError, match="no connection after 5 tries .* 16384 bytes are kept"):
        download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    assert not (tmp_path / "audio").exists()
    esc50.asked.clear()
    download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    assert esc50.asked == [("ESC-50-master.zip", "bytes=16384-")]
    assert (tmp_path / "audio/1-1-A-0.wav").read_bytes() == NOISE


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(esc50, tmp_path):
    esc50.break_after = [30_000] + [0] * 4
    with pytest.raises(SedkitError):
        download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    other = {"ESC-50-master/meta/esc50.csv": b"new\n", "ESC-50-master/audio/1-1-A-0.wav": NOISE[::-1]}
    esc50.files["ESC-50-master.zip"] = zip_of(other)
    download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    assert (tmp_path / "audio/1-1-A-0.wav").read_bytes() == NOISE[::-1]


def test_a_server_without_ranges(esc50, tmp_path):
    esc50.ranges = False
    esc50.break_after = [30_000]
    download("esc50", tmp_path, base_url=esc50.url, wait_s=0.0)
    assert (tmp_path / "audio/1-1-A-0.wav").read_bytes() == NOISE


def test_busy_servers_are_asked_again_and_absent_files_are_not(esc50, tmp_path):
    esc50.fail = [503, 429]
    download("esc50", tmp_path / "a", base_url=esc50.url, wait_s=0.0)
    esc50.files.clear()
    esc50.asked.clear()
    with pytest.raises(SedkitError, match="the server answers 404"):
        download("esc50", tmp_path / "b", base_url=esc50.url, wait_s=0.0)
    assert len(esc50.asked) == 1


def test_no_server(tmp_path):
    with pytest.raises(SedkitError, match="no connection after 5 tries"):
        download("esc50", tmp_path, base_url="http://127.0.0.1:9", wait_s=0.0)


def _one_part(monkeypatch, **changes):
    part = Part(name="p", title="", file="x.zip", url="", place={"audio": "audio"}, **changes)
    monkeypatch.setattr(module, "parts_of", lambda name, wanted: [part])


def test_a_stated_checksum_is_checked(server, tmp_path, monkeypatch):
    server.files["x.zip"] = zip_of({"audio/1.wav": NOISE})
    md5 = hashlib.md5(server.files["x.zip"]).hexdigest()
    _one_part(monkeypatch, checksum=f"md5:{md5}")
    download("desed", tmp_path / "good", base_url=server.url)
    assert json.loads((tmp_path / "good/download.json").read_text())["x.zip"]["verified"] is True
    _one_part(monkeypatch, checksum="md5:" + "0" * 32, stated_by="the publisher")
    with pytest.raises(SedkitError, match=r"checksum differs from md5:0+ \(the publisher\)"):
        download("desed", tmp_path / "bad", base_url=server.url)
    assert not (tmp_path / "bad/audio").exists()
    assert not list((tmp_path / "bad/.download").glob("x.zip*"))


def test_a_recorded_checksum_is_checked_at_the_next_download(server, tmp_path, monkeypatch):
    server.files["x.zip"] = zip_of({"audio/1.wav": NOISE})
    _one_part(monkeypatch, checksum="unverified")
    download("desed", tmp_path, base_url=server.url)
    (tmp_path / "audio/1.wav").unlink()
    (tmp_path / "audio").rmdir()
    server.files["x.zip"] = zip_of({"audio/1.wav": NOISE[::-1]})
    with pytest.raises(SedkitError, match="checksum differs from sha256:.*recorded at the first download"):
        download("desed", tmp_path, base_url=server.url)


def test_an_archive_that_follows_a_branch_may_change(esc50, tmp_path, messages):
    download("esc50", tmp_path, base_url=esc50.url)
    assert "other than the archive of md5:7771e4b9d86d0945acce719c7a59305a (it follows a branch)" in messages.text


def test_an_archive_of_another_build_is_unpacked_beside(server, tmp_path, monkeypatch, messages):
    server.files["x.zip"] = zip_of({"sounds/1.wav": NOISE})
    _one_part(monkeypatch, checksum="unverified")
    assert download("desed", tmp_path, base_url=server.url) == [tmp_path / "x"]
    assert (tmp_path / "x/sounds/1.wav").exists()
    assert "holds none of audio" in messages.text


def test_files_that_were_there_stay(server, tmp_path, monkeypatch):
    server.files["x.zip"] = zip_of({"audio/train/1.wav": NOISE})
    _one_part(monkeypatch, checksum="unverified")
    (tmp_path / "audio/train").mkdir(parents=True)
    (tmp_path / "audio/train/mine.wav").write_bytes(b"x")
    download("desed", tmp_path, base_url=server.url)
    assert {path.name for path in (tmp_path / "audio/train").iterdir()} == {"1.wav", "mine.wav"}


def test_a_damaged_archive_is_fetched_anew_by_the_next_call(server, tmp_path, monkeypatch):
    _one_part(monkeypatch, checksum="unverified")
    server.files["x.zip"] = b"<html>down for maintenance</html>"
    with pytest.raises(SedkitError, match="neither a zip nor a tar archive; fetch it again"):
        download("desed", tmp_path, base_url=server.url)
    server.files["x.zip"] = zip_of({"audio/1.wav": NOISE})
    download("desed", tmp_path, base_url=server.url)
    assert (tmp_path / "audio/1.wav").exists()


def test_a_table_is_put_where_it_belongs(server, tmp_path):
    server.files["audioset_strong.tsv"] = b"filename\n"
    assert download("desed", tmp_path, parts=["strong"], base_url=server.url) == [
        tmp_path / "metadata/train/audioset_strong.tsv"
    ]


def test_releases_of_a_table_take_each_others_place(server, tmp_path):
    """DCASE 2018 task 4, in the shape in which GitHub hands out a repository and its files."""
    top, table = "dcase2018_baseline-master/task4", tmp_path / "metadata/test/test.csv"
    server.files["dcase2018_baseline-master.zip"] = zip_of({f"{top}/dataset/metadata/test/test.csv": b"2019"})
    server.files |= {"test_2018-04.csv": b"april", "test_2018-07.csv": b"july"}
    download("dcase2018", tmp_path, base_url=server.url)
    assert table.read_bytes() == b"2019"
    for release, text in (("04", b"april"), ("07", b"july"), ("04", b"april")):
        assert download("dcase2018", tmp_path, parts=[f"test_2018-{release}"], base_url=server.url) == [table]
        assert table.read_bytes() == text
    assert download("dcase2018", tmp_path, parts=["test_2018-04"], base_url=server.url) == []


# ---- the registry and the verb


def test_events_and_scenes_land_where_prepare_reads_them(server, tmp_path, monkeypatch):
    """Archives as Zenodo has them, every one with a folder of its own on top."""
    server.files["FSDKaggle2018.meta.zip"] = zip_of({"FSDKaggle2018.meta/train_post_competition.csv": b"fname\n"})
    server.files["FSDKaggle2018.audio_train.zip"] = zip_of({"FSDKaggle2018.audio_train/00044347.wav": NOISE})
    download("fsdkaggle2018", tmp_path / "f", base_url=server.url)
    assert (tmp_path / "f/train.csv").read_bytes() == b"fname\n"
    assert (tmp_path / "f/audio_train/00044347.wav").read_bytes() == NOISE
    known = registry()
    stem = "TUT-urban-acoustic-scenes-2018-development"
    for k in (1, 13):
        server.files[f"{stem}.audio.{k}.zip"] = zip_of({f"{stem}/audio/bus-paris-{k}-{k}-a.wav": NOISE})
    server.files[f"{stem}.meta.zip"] = zip_of({f"{stem}/meta.csv": b"filename\n", f"{stem}/README.md": b"x"})
    for part in known["tut2018"]["parts"].values():
        part["checksum"] = "unverified"
    monkeypatch.setattr(module, "registry", lambda: known)
    download("tut2018", tmp_path / "t", parts=["table", "audio1", "audio13"], base_url=server.url)
    assert (tmp_path / "t/meta.csv").read_bytes() == b"filename\n"
    assert {path.name for path in (tmp_path / "t/audio").iterdir()} == {"bus-paris-1-1-a.wav", "bus-paris-13-13-a.wav"}


def test_the_registry_is_whole():
    for name, row in registry().items():
        assert set(row["default"]) <= set(row["parts"])
        for part in parts_of(name, list(row["parts"])):
            assert part.url.startswith("https://")
            assert part.url.endswith((part.file, *part.place)) or part.moving
            assert part.stated_by
            assert part.known_hash is None or part.known_hash.split(":")[0] in ("md5", "sha256")
            assert all(not Path(target).is_absolute() and ".." not in target for target in part.place.values())


def _run(*words):
    parser = ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(list(words))) or 0


def test_the_verb_explains_the_request_for_the_real_clips(server, tmp_path, capsys):
    _desed(server)
    assert _run("desed", str(tmp_path), "--base-url", server.url, "--parts", "metadata") == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "metadata") in out
    assert "missing_files_<set>.tsv" in out
    assert f"{tmp_path}/audio/train/weak" in out
    assert [name for name, _ in server.asked] == ["audioset_metadata.tar.gz"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("dsed", "x"), 'did you mean "desed"'),
        (("desed", "x", "--parts", "metdata"), 'did you mean "metadata"'),
        (("desed", "x", "--base-url", "ftp://a"), "expected an address"),
    ],
)
def test_bad_use(words, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=what):
        _run(*words)


# ---- archives
