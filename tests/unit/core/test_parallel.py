"""Jobs return what one process returns, in order."""

import multiprocessing

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.parallel import progress, run_jobs


def square(x):
    return x * x


def test_two_processes_give_what_one_gives():
    assert run_jobs(square, range(20), jobs=2) == run_jobs(square, range(20), jobs=1) == [x * x for x in range(20)]


def test_no_jobs_is_bad_use():
    with pytest.raises(UsageError):
        run_jobs(square, [1], jobs=0)


def test_progress_is_silent_when_not_a_terminal(capsys):
    run_jobs(square, range(5), description="squares")
    assert capsys.readouterr().err == ""


def test_only_one_process_draws_bars(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert not progress(range(3)).disable
    monkeypatch.setattr(multiprocessing.current_process(), "name", "LokyProcess-1")
    assert progress(range(3)).disable
