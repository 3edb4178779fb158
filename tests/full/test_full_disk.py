"""A disk that is full: one line, nothing that looks finished, and the same call goes through when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.full.test_kills import EXP, SET, said, unharmed  # noqa: F401 (a fixture)
from tests.full.victims import Call, differences, run

#: Calls that write into the folder `small`, and how many pages of 4 KiB they find there.
CALLS = (
    (
        Call("features", ("extract", SET, "--config", "c.yaml", "--out", "small/f.h5", "--jobs", "1"), ("small/f.h5",)),
        9,
    ),
    (Call("train", ("train", "--config", "c.yaml", "--data", "data/desed", "--exp", "small/exp"), ("small/exp",)), 9),
    (Call("predict", ("predict", EXP, SET, "--out", "small/s.h5"), ("small/s.h5",)), 3),
    (
        Call(
            "decode",
            (
                *("decode", f"{EXP}/scores/validation.h5", "--postprocessing", "0.5", "--out", "small/e.tsv"),
                *("--operating-points-out", "small/points"),
            ),
            ("small/e.tsv", "small/points"),
        ),
        9,
    ),
    (
        Call(
            "score",
            (
                *("score", "--reference", f"{SET}/strong.tsv", "--estimate", f"{EXP}/events/validation.tsv"),
                *("--metrics", "segment,event", "--json", "small/r.json"),
            ),
            ("small/r.json",),
        ),
        2,
    ),
    (
        Call(
            "detect",
            ("detect", EXP, "desed/audio/validation", "--postprocessing", "0.5", "--out", "small/e/"),
            ("small/e",),
        ),
        6,
    ),
)


@pytest.fixture
def small(unharmed: Path) -> Iterator[Path]:  # noqa: F811
    """A folder that is a disk of its own."""
    folder = unharmed / "small"
    folder.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", "size=4k", "sedkit", str(folder)]
    if subprocess.run(call, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def resize(folder: Path, pages: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={4 * pages}k", str(folder)], check=True)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("call", "pages"), CALLS, ids=[call.stage for call, _ in CALLS])
def test_a_full_disk_is_told_and_leaves_nothing_half_done(
    unharmed: Path,  # noqa: F811
    small: Path,
    tmp_path: Path,
    call: Call,
    pages: int,
) -> None:
    resize(small, pages)
    (unharmed / "errors.log").write_text("")
    ended = run(call, unharmed)
    lines = said(unharmed).splitlines()
    assert ended.status == 1, lines
    assert "Traceback" not in "".join(lines) and "o space left on device" in lines[-1], lines
    assert not any((small / name).exists() for name in ("f.h5", "s.h5", "r.json", "exp/checkpoints/best.pt.done.json"))
    resize(small, 4096)
    assert run(call, unharmed).status == 0, said(unharmed)
    # What a call makes where there was room from the start.
    whole = tmp_path / "whole"
    whole.mkdir()
    subprocess.run(["cp", "-a", str(small), str(whole / "small")], check=True)
    subprocess.run(["find", str(small), "-mindepth", "1", "-delete"], check=True)
    assert run(call, unharmed).status == 0, said(unharmed)
    assert differences(whole, unharmed, call.outputs) == []
