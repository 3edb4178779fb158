"""recipes/common/env.sh: when .venv is made, completed, made again, or left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

STAGE = ("--stage", "4", "--stop-stage", "4")


def test_it_is_made_once(runme, tree, fake, asked):
    first = runme(*STAGE, **fake)
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stderr
    assert asked("pip")[-1].endswith("--constraint constraints.txt --no-compile --no-build-isolation --editable .")
    assert (tree / ".venv" / ".sedkit-complete").read_text().startswith("python 3.11\npins ")
    installed = asked("pip")
    second = runme(*STAGE, **fake)
    assert "venv" not in second.stderr
    assert asked("pip") == installed


def test_new_pins_bring_it_up_to_date(runme, tree, fake, asked):
    runme(*STAGE, **fake)
    kept = tree / ".venv" / "kept"
    kept.touch()
    count = len(asked("pip"))
    with (tree / "constraints.txt").open("a") as file:
        file.write("another==1.0\n")
    done = runme(*STAGE, **fake)
    assert "installing the packages" in done.stderr
    assert len(asked("pip")) > count
    assert kept.exists()


def test_an_interrupted_build_starts_again(runme, tree, fake, asked):
    process = subprocess.Popen(
        [str(tree / "runme.sh"), *STAGE],
        env=os.environ | fake | {"FAKE_PIP_SECONDS": "20"},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not asked("pip") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, 9)
    process.wait()
    (tree / ".venv" / "half").touch()
    done = runme(*STAGE, **fake)
    assert done.returncode == 0, done.stderr
    assert "was interrupted: starting again" in done.stderr
    assert not (tree / ".venv" / "half").exists()


def test_a_failed_installation_is_not_taken_for_an_environment(runme, tree, fake, asked):
    failed = runme(*STAGE, **fake, FAKE_PIP_STATUS="1")
    assert failed.returncode == 1
    assert "pip could not install the packages" in failed.stderr
    assert not (tree / ".venv" / ".sedkit-complete").exists()
    assert asked("sedkit") == []
    assert runme(*STAGE, **fake).returncode == 0


def test_two_commands_make_it_once(runme, tree, fake, asked):
    if shutil.which("flock") is None:
        pytest.skip("needs flock")
    slow = subprocess.Popen(
        [str(tree / "runme.sh"), *STAGE], env=os.environ | fake | {"FAKE_PIP_SECONDS": "1"}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not asked("pip") and time.monotonic() < deadline:
        time.sleep(0.05)
    done = runme(*STAGE, **fake)
    assert "another process is making .venv; waiting" in done.stderr
    assert done.returncode == slow.wait(timeout=30) == 0
    assert sum("--editable" in line for line in asked("pip")) == 1


@pytest.mark.parametrize("change", ["moved", "other Python"])
def test_it_is_made_again(runme, tree, fake, asked, change):
    runme(*STAGE, **fake)
    (tree / ".venv" / "old").touch()
    if change == "moved":
        (tree / ".venv" / "pyvenv.cfg").write_text("command = x -m venv /somewhere/else/.venv\n")
        stamp = tree / ".venv" / ".sedkit-complete"
        stamp.write_text(stamp.read_text().replace("pins ", "pins 0"))
    else:
        fake["SEDKIT_PYTHON"] += " 3.12"
        shutil.copy(fake["SEDKIT_PYTHON"].removesuffix(" 3.12"), fake["SEDKIT_PYTHON"])
        text = (tree.parent / "fake python 3.12").read_text().replace(":-3.11", ":-3.12")
        (tree.parent / "fake python 3.12").write_text(text)
    done = runme(*STAGE, **fake)
    assert "making it again" in done.stderr
    assert not (tree / ".venv" / "old").exists()


def test_more_extras_serve_fewer(tree, fake, asked):
    def use(*extras: str) -> subprocess.CompletedProcess[str]:
        script = 'source recipes/common/lib.sh; use_environment "$@"; echo "$VIRTUAL_ENV"'
        return subprocess.run(
            ["bash", "-c", script, "x", *extras], cwd=tree, env=os.environ | fake, capture_output=True, text=True
        )

    assert use().returncode == 0
    assert use("test").stdout.strip() == str(tree / ".venv")
    assert asked("pip")[-1].endswith("--editable .[test]")
    count = len(asked("pip"))
    assert use().stderr == use("test").stderr == ""
    assert len(asked("pip")) == count
    use("dask")
    assert asked("pip")[-1].endswith("--editable .[test,dask]")


def test_the_active_environment_is_checked(runme, tree):
    settings = tree / "setup.cfg"
    done = runme(*STAGE, SEDKIT_VENV="none", SEDKIT_PYTHON=sys.executable)
    assert "using the active environment" in done.stderr
    settings.write_text(settings.read_text().replace("numpy >=1.26, <2.4", "numpy >=99\n    no_such_package"))
    done = runme(*STAGE, SEDKIT_VENV="none", SEDKIT_PYTHON=sys.executable)
    assert done.returncode == 1
    assert "numpy" in done.stderr
    assert "(wanted >=99); no_such_package is not installed" in done.stderr
    assert not (tree / ".venv").exists()
