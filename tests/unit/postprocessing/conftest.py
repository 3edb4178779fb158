"""Make the helpers beside this file importable, whatever pytest's import mode."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from slow_decoder import LABELS, make_scores

from sedkit.dataio.events import tags_of
from sedkit.dataio.store import write_scores
from sedkit.dataio.tables import write_events, write_weak
from sedkit.postprocessing import FrameRule, Postprocessing, decode


@pytest.fixture
def files(tmp_path):
    """Return a folder with scores and the tables of what they hold."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 70, 2))
    framewise = 1 / (1 + np.exp(-4 * sum(x[:, k : k + 64] for k in range(6)) / 3))
    scores = make_scores(framewise, clipwise=rng.random((12, 2)), rate_hz=8.0, labels=LABELS)
    write_scores(tmp_path / "scores.h5", scores)
    noisy = framewise + 0.1 * rng.standard_normal(framewise.shape)
    truth = decode(make_scores(noisy, rate_hz=8.0, labels=LABELS), Postprocessing.uniform(LABELS, FrameRule(0.8)))
    write_events(tmp_path / "strong.tsv", truth)
    write_weak(tmp_path / "weak.tsv", tags_of(truth))
    return tmp_path
