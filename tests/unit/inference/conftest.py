"""Makes the helpers of tests/unit/training and of this folder importable, whatever pytest's import mode."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "training"), str(Path(__file__).parent)]

from fake_data import make_root  # noqa: E402


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("data"))
