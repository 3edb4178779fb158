"""How a training of several processes ends, as recipes start it: a status, and one line where nobody said why."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedkit.cli._torchrun import main
from sedkit.core.errors import SedkitError, UsageError

START = ("--nnodes=1", "--nproc-per-node=2", "--standalone")
SCRIPT = "import os, signal, sys, time\nif os.environ['RANK'] == '1':\n    {}\ntime.sleep(60)\n"


@pytest.fixture(autouse=True)
def _left_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave logging and signals as they were for other tests."""
    monkeypatch.setattr("logging.disable", lambda level: None)
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def script(folder: Path, of_second: str) -> str:
    path = folder / "train.py"
    path.write_text(SCRIPT.format(of_second))
    return str(path)


def test_the_status_is_that_of_the_process_that_failed(tmp_path: Path) -> None:
    assert main([*START, script(tmp_path, "sys.exit(2)")]) == 2


def test_a_killed_process_is_named(tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="process 1 was ended by SIGKILL, and the others with it"):
        main([*START, script(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")])


def test_processes_for_gpus_that_are_not_there_are_bad_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="--processes 0 is a process for each GPU"):
        main(["--nproc-per-node", "gpu", "-m", "sedkit"])
