"""Steps of the command line: done once, not redone where nothing changed, clean after a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from score_case import ESTIMATE, Case

from sedkit.cli.main import main
from sedkit.core.files import lock, sha256_file
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "OMP_NUM_THREADS": "1"}
FRONTEND = "frontend: {name: logmel, sample_rate: 16000, n_mels: 16, fmax_hz: 7000}\n"


def start(*words: object) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "sedkit", *map(str, words)]
    return subprocess.Popen(call, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Miniature, data dirs and features in one folder."""
    place = tmp_path_factory.mktemp("made")
    (place / "c.yaml").write_text(FRONTEND)
    for call in calls(place):
        assert main(call) == 0
    return place


def calls(place: Path) -> list[list[str]]:
    """The calls that make everything below a folder."""
    root, out = str(place / "miniature"), str(place / "data")
    return [
        ["miniature", "esc50", root, "--size", "10", "--jobs", "1"],
        ["prepare", "esc50", root, out, "--jobs", "1"],
        ["extract", f"{out}/esc50", "--config", str(place / "c.yaml"), "--jobs", "1"],
    ]


def up_to_date(place: Path, capsys: pytest.CaptureFixture[str]) -> list[bool]:
    """Whether each of the calls had nothing to do."""
    said = []
    for call in calls(place):
        capsys.readouterr()
        assert main(call) == 0
        said.append("is up to date" in capsys.readouterr().err)
    return said


def test_nothing_is_left_beside_what_was_made(made: Path) -> None:
    assert names(made) == {"c.yaml", "data", "miniature", "miniature.done.json"}
    assert names(made / "data") == {"esc50", "prepare.json", "prepare.json.done.json"}
    kinds = {name.rpartition("-")[0] or name for name in names(made / "data/esc50")}
    assert kinds == {"clips.tsv", "labels.txt", "set.json", "weak.tsv", "logmel"}


def test_features_made_again_are_the_same_file(made: Path, tmp_path: Path) -> None:
    (file,) = (made / "data/esc50").glob("logmel-*.h5")
    assert main([*calls(made)[2], "--out", str(tmp_path / "again.h5")]) == 0
    assert sha256_file(tmp_path / "again.h5") == sha256_file(file)


def test_what_is_copied_or_moved_together_is_up_to_date(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(made, copied, copy_function=shutil.copyfile)
    assert up_to_date(copied, capsys) == [True, True, True]
    moved = copied.rename(tmp_path / "moved")
    assert up_to_date(moved, capsys) == [True, True, True]
    recording = DataDir(moved / "data/esc50").audio_path(0)
    assert recording.is_file() and recording.is_relative_to(moved)
    # The data dirs alone: their recordings are found where they were.
    shutil.copytree(made / "data", tmp_path / "data")
    assert DataDir(tmp_path / "data/esc50").audio_path(0) == DataDir(made / "data/esc50").audio_path(0)
    assert main(["prepare", "esc50", str(made / "miniature"), str(tmp_path / "data"), "--jobs", "1"]) == 0
    assert "is up to date" in capsys.readouterr().err
    # One bit of one recording, of the same size and age.
    times = recording.stat().st_atime_ns, recording.stat().st_mtime_ns
    content = recording.read_bytes()
    recording.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(recording, ns=times)
    assert main(calls(moved)[2]) == 0
    assert "is up to date" not in capsys.readouterr().err


def test_data_dirs_whose_recordings_were_moved_are_prepared_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    assert [main(call) for call in calls(place)[:2]] == [0, 0]
    capsys.readouterr()
    (place / "miniature").rename(place / "elsewhere")
    assert main(["prepare", "esc50", str(place / "elsewhere"), str(place / "data"), "--jobs", "1"]) == 0
    assert "is up to date" not in capsys.readouterr().err
    assert DataDir(place / "data/esc50").audio_path(0).is_relative_to(place / "elsewhere")


@pytest.mark.parametrize("words", [("prepare", "esc50"), ("prepare", "desed")])
def test_a_call_that_fails_leaves_no_new_folder(tmp_path: Path, words: tuple[str, str]) -> None:
    (tmp_path / "root").mkdir()
    assert main([*words, str(tmp_path / "root"), str(tmp_path / "new/deep")]) == 1
    assert names(tmp_path) == {"root"}


def test_two_processes_that_wait_for_one_step_do_it_once(tmp_path: Path) -> None:
    for name, value in (("a", 0.25), ("b", 0.5)):
        scores = Scores(
            framewise=np.full((2, 4, 1), value, np.float32),
            n_frames=np.full(2, 4),
            duration_s=np.full(2, 1.0),
            frame_edges_s=np.linspace(0, 1, 5),
            filenames=("x.wav", "y.wav"),
            labels=("Cat",),
            producer=name,
        )
        write_scores(tmp_path / f"{name}.h5", scores)
    call = ("fuse", tmp_path / "a.h5", tmp_path / "b.h5", "--out", tmp_path / "out.h5")
    with lock(tmp_path / ".out.h5.lock"):
        waiting = [start(*call) for _ in range(2)]
        for process in waiting:
            assert process.stderr.readline().startswith("waiting for process")
    said = sorted(process.communicate(timeout=120)[1] for process in waiting)
    assert [process.returncode for process in waiting] == [0, 0], said
    assert sum("ensemble of 2" in text for text in said) == sum("is up to date" in text for text in said) == 1
    assert names(tmp_path) == {"a.h5", "b.h5", "out.h5", "out.h5.done.json"}


def test_a_killed_call_leaves_nothing_after_the_next(tmp_path: Path) -> None:
    call = ["miniature", "esc50", str(tmp_path / "data/esc50"), "--jobs", "1", "--size"]
    process = start(*call, 200)
    deadline = time.monotonic() + 100
    while not list((tmp_path / "data").glob(".esc50.*.part/*/*.wav")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = names(tmp_path / "data")
    assert len(left) == 2, "the lock, and a folder that is not whole"
    assert main([*call, "10"]) == 0
    assert names(tmp_path / "data") == {"esc50", "esc50.done.json"}


def test_a_killed_extraction_goes_on_and_leaves_nothing(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    call = [*calls(made)[2], "--out", str(out)]
    code = (
        "import sys, time\nfrom sedkit.cli.main import main\nfrom sedkit.core.files import aside_of\n"
        "from sedkit.features import extract as module\n"
        "real = module._extract_shard\n"
        "def slow(shard):\n"
        "    if '00002' in shard.path.name:\n"
        "        aside_of(shard.path).write_bytes(b'half')\n"
        "        print('halfway', flush=True)\n"
        "        time.sleep(600)\n"
        "    real(shard)\n"
        "module._extract_shard = slow\nmain(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, *call]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "halfway\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path) == {".f.h5.lock", "f.h5.parts"}
    assert len(names(tmp_path / "f.h5.parts")) == 3
    again = start(*call)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0 and "goes on: 2 of 4 shards are there" in said
    assert names(tmp_path) == {"f.h5", "f.h5.done.json"}
    (whole,) = (made / "data/esc50").glob("logmel-*.h5")
    assert sha256_file(out) == sha256_file(whole)


def test_figures_of_another_run_are_counted_although_the_bytes_are_the_same(
    case: Case, stamped: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Stamps say which run an output is of; where files lie is nothing that figures depend on."""
    caplog.set_level("INFO", logger="sedkit")
    for place, seed, skipped in (("a", 0, False), ("a", 1, False), ("b", 1, True)):
        (case.folder / place).mkdir(exist_ok=True)
        (case.folder / place / "est.tsv").write_text(ESTIMATE)
        stamped(f"@{place}/est.tsv", {"run": {"seed": seed}})
        caplog.clear()
        assert case.results("--estimate", f"@{place}/est.tsv", "--metrics", "event")["run"]["seed"] == seed
        assert ("is up to date" in caplog.text) == skipped
