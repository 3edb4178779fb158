"""Disks that are full or may not be written: one line, nothing half done, and then the same call goes through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.full.calls import CALLS, INTO_SMALL, World, said
from tests.full.conftest import mounted
from tests.full.reliability import record_fault
from tests.full.victims import NOBODY, Call, differences, leftovers, log_of, run

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@pytest.mark.parametrize("trouble", ["full", "read-only", "another's"])
@pytest.mark.parametrize(("call", "pages"), INTO_SMALL, ids=[call.stage for call, _ in INTO_SMALL])
def test_a_disk_that_takes_nothing_is_told_and_has_nothing_half_done(
    world: World, small: Path, tmp_path: Path, call: Call, pages: int, trouble: str
) -> None:
    folder, user = world.unharmed, NOBODY if trouble == "another's" else None
    if trouble == "another's":
        small.chmod(0o755)
    else:
        remount(small, f"size={4 * pages}k" if trouble == "full" else "ro")
    log_of(folder).write_text("")
    ended = run(call, folder, user=user)
    lines = said(folder).splitlines()
    assert ended.status == 1, lines
    text = {"full": "o space left on device", "read-only": "Read-only file system", "another's": "Permission denied"}
    assert "Traceback" not in "".join(lines) and text[trouble] in lines[-1], lines
    assert not any((small / name).exists() for name in ("f.h5", "s.h5", "r.json", "exp/checkpoints/best.pt.done.json"))
    if trouble == "another's":
        small.chmod(0o777)
    else:
        remount(small, "size=16m" if trouble == "full" else "rw")
    assert run(call, folder, user=user).status == 0, said(folder)
    # What a call makes where there was room from the start.
    whole = tmp_path / "whole"
    whole.mkdir()
    subprocess.run(["cp", "-a", str(small), str(whole / "small")], check=True)
    subprocess.run(["find", str(small), "-mindepth", "1", "-delete"], check=True)
    assert run(call, folder, user=user).status == 0, said(folder)
    assert differences(whole, folder, call.outputs) == []
    record_fault(
        {"full": "a full disk", "another's": "a folder of another user"}.get(trouble, "a read-only disk"), __file__
    )


def test_what_is_read_may_lie_where_nobody_may_write(world: World, small: Path, tmp_path: Path) -> None:
    sealed = world.unharmed.with_name("sealed")
    with mounted(sealed, "--bind", str(world.unharmed)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(sealed)], check=True)
        for call in CALLS:
            log_of(sealed).write_text("")
            assert run(call, sealed).status == 0 and "up to date" in said(sealed), (call.words, said(sealed))
        with mounted(sealed / "small", "-t", "tmpfs", "-o", "size=16m", "sedkit") as inside:
            for call, _ in INTO_SMALL:
                assert run(call, world.unharmed).status == 0, said(world.unharmed)
                assert run(call, sealed).status == 0, (call.words, said(sealed))
                assert differences(world.unharmed, sealed, call.outputs) == [], call.words
            assert leftovers(inside) == []
    record_fault("inputs and finished outputs on a read-only disk", __file__)


def test_a_full_folder_of_temporary_files_holds_nothing_up(world: World, tmp_path: Path, repository: Path) -> None:
    with mounted(tmp_path / "tmp", "-t", "tmpfs", "-o", "size=4k", "sedkit") as full:
        (full / "page").write_bytes(bytes(4096))
        environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
        environment |= {"TMPDIR": str(full), "JOBLIB_TEMP_FOLDER": str(full)}
        for call in CALLS:
            made, _ = world.made(call)
            trial = world.before(call)
            words = " ".join(call.words).replace("--jobs 1", "--jobs 2").split()
            done = subprocess.run(
                [sys.executable, "-m", "sedkit", *words], cwd=trial, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, (call.words, done.stderr)
            assert differences(made, trial, call.outputs) == [], call.words
    record_fault("a full folder of temporary files", __file__)
