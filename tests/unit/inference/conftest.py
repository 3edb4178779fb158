"""Makes the helpers of tests/unit/training and of this folder importable, whatever pytest's import mode."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "training"), str(Path(__file__).parent)]

from fake_data import make_root  # noqa: E402
from networks import Mean, MeanOptions  # noqa: E402

from sedkit.models import registry  # noqa: E402


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _mean_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a test runs, and not in the tables of the documentation."""
    build = (lambda n_classes, n_bins, options: Mean(n_classes, options)), MeanOptions
    monkeypatch.setitem(registry._MODELS._entries, "tests_mean", build)
