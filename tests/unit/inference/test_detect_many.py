"""Many recordings: broken ones among them, a call that is killed, shards, processes, and what outputs are made from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from networks import make_experiment

from sedkit.cli.main import main
from sedkit.core.files import sha256_file
from sedkit.core.stamp import read_stamp
from sedkit.dataio.store import read_scores
from sedkit.dataio.tables import read_strong
from sedkit.inference.recordings import shard_of
from sedkit.postprocessing import FrameRule, Postprocessing

BROKEN = ("r017.wav", "r063.wav", "r100.wav", "r140.wav", "r199.wav")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of little work, whose rules let every class be there throughout."""
    folder = make_experiment(tmp_path_factory.mktemp("exp"), {"name": "cnn9_avg", "base_channels": 1})
    Postprocessing.uniform(("Alarm", "Cat", "Dog"), FrameRule(threshold=0.0)).write(folder / "postprocessing.yaml")
    return folder


def make_folder(folder: Path, n: int, broken: tuple[str, ...] = ()) -> Path:
    """`n` recordings of half a second, `r000.wav` and so on, every third in a folder below."""
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / ("site" if i % 3 == 0 else "") / f"r{i:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 4000), 8000, subtype="PCM_16")
        if path.name in broken:
            path.write_bytes(path.read_bytes()[:1000])
    return folder


def test_200_recordings_five_of_them_broken_a_call_that_is_killed_and_one_that_goes_on(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings, out = make_folder(tmp_path / "recordings", 200, BROKEN), tmp_path / "events.tsv"
    call = ["detect", str(experiment), str(recordings), "--out", str(out), "--jobs", "1", "--device", "cpu"]
    parts = tmp_path / "events.tsv.parts"

    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in parts.rglob("*.done.json")}

    process = subprocess.Popen([sys.executable, "-m", "sedkit", *call], stderr=subprocess.DEVNULL)
    started = time.monotonic()
    while len(stamps()) < 60 and process.poll() is None and time.monotonic() - started < 120:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = stamps()
    assert 60 <= len(before) < 195 and not out.exists()

    assert main(call) == 1
    said = capsys.readouterr().err
    assert f"goes on: {len(before)} of 200 recordings are up to date" in said
    assert {path: after for path, after in stamps().items() if path in before} == before
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 5
    for name in BROKEN:
        assert any(f"/{name}: cut off" in line for line in errors)
    assert "5 of 200 recordings could not be read, each named above with the reason" in said
    assert f"the events of the others are in {out}" in said
    events = read_strong(out)
    assert len(events.filenames) == 195 and events.n_events == 3 * 195
    assert not {Path(name).name for name in events.filenames} & set(BROKEN)
    # Again: only the five are looked at, and named.
    assert main(call) == 1
    said = capsys.readouterr().err
    assert "goes on: 195 of 200" in said and said.count("cut off") == 5
    # Mended: all of them are there, nothing is left beside the table, and a further call does nothing.
    for name in BROKEN:
        path = next(recordings.rglob(name))
        shutil.copy(recordings / "r001.wav", path)
    assert main(call) == 0
    assert "goes on: 195 of 200" in capsys.readouterr().err
    assert len(read_strong(out).filenames) == 200 and not parts.exists()
    assert main(call) == 0
    assert capsys.readouterr().err == f"detect: {out} is up to date\n"


def test_shards_put_together_are_the_call_without(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = make_folder(tmp_path / "recordings", 10)
    call = ["detect", str(experiment), str(recordings), "--format", "json"]
    words = ["--out", str(tmp_path / "a.json"), "--scores", str(tmp_path / "a.h5")]
    for shard in ("2/3", "1/3", "3/3"):
        assert main([*call, *words, "--shard", shard]) == 0
        assert not (tmp_path / "a.json").exists() and not (tmp_path / "a.h5").exists()
    assert "the call without --shard puts all together" in capsys.readouterr().err
    assert main([*call, *words]) == 0
    assert "goes on: 10 of 10" in capsys.readouterr().err
    words = ["--out", str(tmp_path / "b.json"), "--scores", str(tmp_path / "b.h5"), "--jobs", "2"]
    assert main([*call, *words]) == 0
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    a, b = read_scores(tmp_path / "a.h5"), read_scores(tmp_path / "b.h5")
    assert a.filenames == b.filenames and len(a.filenames) == 10
    np.testing.assert_array_equal(a.framewise, b.framewise)
    assert not list(tmp_path.glob("*.parts"))
    for wrong in ("0/3", "4/3", "x", "1"):
        assert main([*call, *words, "--shard", wrong]) == 2
        assert f"--shard {wrong}: expected I/N" in capsys.readouterr().err
    assert main([*call, "--shard", "1/2"]) == 2
    assert "--shard 1/2 needs --out" in capsys.readouterr().err


def test_shards_share_the_recordings() -> None:
    recordings = {f"{i}.wav": Path(f"{i}.wav") for i in range(11)}
    shards = [shard_of(recordings, f"{i}/4") for i in range(1, 5)]
    assert sorted(name for shard in shards for name in shard) == sorted(recordings)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    ("form", "ending"), [("raven", ".Table.1.selections.txt"), ("audacity", ".txt"), ("json", ".json"), ("tsv", ".tsv")]
)
def test_a_folder_gets_a_file_a_recording_that_knows_what_it_was_made_from(
    form: str, ending: str, experiment: Path, tmp_path: Path
) -> None:
    recordings, out = make_folder(tmp_path / "recordings", 4), tmp_path / "out"
    call = ["detect", str(experiment), str(recordings), "--format", form, "--out", f"{out}/", "--jobs", "1"]
    assert main(call) == 0
    names = ("site/r000", "r001", "r002", "site/r003")
    assert {p.relative_to(out).as_posix() for p in out.rglob(f"*{ending}") if "done" not in p.name} == {
        f"{name}{ending}" for name in names
    }
    assert read_strong(out).n_events == 12
    for name in names:
        stamp = read_stamp(out / f"{name}{ending}.done.json")
        assert stamp is not None and stamp.verb == "detect" and stamp.version
        made_from = {role: [sha for _, sha in files.values()] for role, files in stamp.inputs.items()}
        assert made_from == {
            "recording": [sha256_file(recordings / f"{name}.wav")],
            "checkpoint": [sha256_file(experiment / "checkpoints/best.pt")],
            "postprocessing": [sha256_file(experiment / "postprocessing.yaml")],
        }
    # Other rules, or other bytes, make a file again; the others stay.
    before = {name: (out / f"{name}{ending}").stat().st_mtime_ns for name in names}
    soundfile.write(recordings / "r001.wav", np.zeros(4000), 8000, subtype="PCM_16")
    assert main(call) == 0
    after = {name: (out / f"{name}{ending}").stat().st_mtime_ns for name in names}
    assert {name for name in names if after[name] != before[name]} == {"r001"}
    assert main([*call, "--postprocessing", "0.5"]) == 0
    assert all((out / f"{name}{ending}").stat().st_mtime_ns != after[name] for name in names)


def test_json_says_what_it_was_made_with(experiment: Path, tmp_path: Path) -> None:
    recordings = make_folder(tmp_path / "recordings", 2)
    assert (
        main(["detect", str(experiment), str(recordings), "--format", "json", "--out", str(tmp_path / "a.json")]) == 0
    )
    whole = json.loads((tmp_path / "a.json").read_text())
    assert whole["checkpoint"] == f"sha256:{sha256_file(experiment / 'checkpoints/best.pt')}"
    assert (
        whole["sedkit"] and whole["postprocessing"].startswith("sha256:") and whole["labels"] == ["Alarm", "Cat", "Dog"]
    )
    assert [r["filename"] for r in whole["recordings"]] == ["r001.wav", "site/r000.wav"]
    assert whole["recordings"][0]["events"][0] == {"onset_s": 0.0, "offset_s": 0.5, "label": "Alarm"}


def test_a_call_with_nothing_to_do_loads_no_network(experiment: Path, tmp_path: Path) -> None:
    recordings = make_folder(tmp_path / "recordings", 2)
    for out in (f"{tmp_path / 'tracks'}/", f"{tmp_path / 'events.tsv'}"):
        call = ["detect", str(experiment), str(recordings), "--out", out]
        assert main(call) == 0
        script = f"import sys; from sedkit.cli.main import main; print(main({call!r}), 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        assert done.stdout == "0 False\n"


def test_nothing_takes_the_place_of_a_recording_or_of_another_output(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = make_folder(tmp_path / "recordings", 2)
    shutil.copy(recordings / "r001.wav", recordings / "r001.flac")
    out = ["--format", "audacity", "--out", str(tmp_path / "out")]
    assert main(["detect", str(experiment), str(recordings), *out]) == 2
    assert "r001.flac, r001.wav have the same name, and so would their files" in capsys.readouterr().err
    assert main(["detect", str(experiment), str(recordings / "r001.wav"), "--out", str(recordings / "r001.wav")]) == 2
    assert "would change" in capsys.readouterr().err
    assert soundfile.info(recordings / "r001.wav").frames == 4000
