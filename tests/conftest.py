"""What several test files need. Tests never reach outside the repository except through `shared`."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# The same examples on every machine, and no failure because a shared machine was slow for a moment.
settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("full", settings.get_profile("tests"), max_examples=500)
settings.load_profile("tests")

# Thousands of tests and what torch loads stay: looking for garbage among them as often as Python does is a quarter of
# the time of their collection.
gc.set_threshold(100_000, 20, 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="tests marked full, too: a browser, clusters, many faults")
    parser.addoption("--inputs", type=int, default=1000, help="broken inputs that parsers are given")
    parser.addoption("--kills", type=int, default=3, help="processes that are killed at work")
    parser.addoption("--fault-seed", type=int, default=0, help="of broken inputs and of the moments of kills")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--full"):
        settings.load_profile("full")


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    items[:] = [item for item in items if item not in full]
    config.hook.pytest_deselected(items=full)


@pytest.fixture(scope="session")
def inputs(request: pytest.FixtureRequest) -> int:
    """How many broken inputs parsers are given, all together."""
    return int(request.config.getoption("--inputs"))


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How many processes are killed."""
    return int(request.config.getoption("--kills"))


@pytest.fixture(scope="session")
def fault_seed(request: pytest.FixtureRequest) -> int:
    """Seed of broken inputs and of the moments of kills."""
    return int(request.config.getoption("--fault-seed"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds runme.sh."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material that is not in the repository: `SEDKIT_SHARED`, by default `../shared` beside it."""
    folder = Path(os.environ.get("SEDKIT_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"needs the shared reference material: {folder} is not there (set SEDKIT_SHARED)")
    return folder.resolve()


@pytest.fixture(scope="session")
def real_desed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real recordings in the layout of DESED 2019, with the irregular files of the true set."""
    script = shared / "realaudio" / "make_datasets.py"
    if not script.is_file():
        pytest.skip(f"needs real recordings: {script} is not there")
    out = tmp_path_factory.mktemp("realaudio")
    subprocess.run(
        [sys.executable, "-P", str(script), str(out), "--only", "desed"], check=True, stdout=subprocess.DEVNULL
    )
    return out / "desed"
