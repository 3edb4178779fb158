"""Networks and a data dir of which everything that is drawn is known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("training", "inference")] + [
    str(Path(__file__).parent)
]

from networks import SLICED, make_experiment  # noqa: E402
from tone_case import FRAMES, make_mixtures  # noqa: E402

from sedkit.dataio.datadir import DataDir  # noqa: E402
from sedkit.report.subject import Subject, Subjects  # noqa: E402


@pytest.fixture(scope="session")
def mixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mixtures(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def two_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has everything; its encoder has half the frames and half the bins."""
    model = {"name": "two_step_attention", "base_channels": 2, "time_pooling": 2, "bin_pooling": 2}
    return make_experiment(tmp_path_factory.mktemp("two_step"), model, SLICED, FRAMES)


@pytest.fixture(scope="session")
def subject(two_step: Path, mixtures: Path) -> Subject:
    return Subjects(two_step / "checkpoints" / "best.pt", DataDir(mixtures), device="cpu").of("00012.wav")
