"""--jobs dask:ADDRESS where there is no cluster; tests/full has one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.parallel import use_cluster


def test_without_dask_it_is_bad_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(UsageError, match=r"dask:tcp://x:1 needs Dask .*pip install -e '\.\[dask\]'"):
        use_cluster("tcp://x:1")


def test_an_address_that_is_none_is_named() -> None:
    pytest.importorskip("distributed", reason="needs distributed: pip install -e '.[dask]'")
    with pytest.raises(SedkitError, match="dask:nowhere: missing port number"):
        use_cluster("nowhere")


@pytest.mark.parametrize("text", ["0", "two", "dsk:tcp://x:1", "-1"])
def test_jobs_are_a_number_or_a_cluster(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["miniature", "desed", str(tmp_path / "out"), f"--jobs={text}"]) == 2
    assert "--jobs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
