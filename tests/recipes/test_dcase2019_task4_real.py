"""The recipe on real recordings, with the irregular files of the true set."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from sedkit.core.files import read_json
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile, read_scores
from sedkit.dataio.tables import read_strong
from tests.recipes._judge import every_class_throughout, macro
from tests.recipes._runs import REDUCED, Place

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def real(real_desed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, subprocess.CompletedProcess[str]]:
    place = Place(tmp_path_factory.mktemp("real"))
    short = ("model.base_channels=4", "training.steps=10", "training.eval_every=10")
    return place, place.runme(f"--dataset-root={real_desed}", "--page=false", "--jobs=1", reduced=(*REDUCED, *short))


def test_irregular_recordings_survive(real: tuple[Place, subprocess.CompletedProcess[str]]) -> None:
    place, printed = real
    assert "weak: 99/100 clips" in printed.stdout
    assert "validation: 80/80 clips" in printed.stdout
    assert (
        "16000 Hz: 3" in printed.stderr and "2 not mono" in printed.stderr and "7 shorter than 10 s" in printed.stderr
    )
    weak = DataDir(place.data / "weak")
    (missing,) = weak.missing()
    assert missing not in weak.clips.filename and len(weak.clips) == 99
    (path,) = place.data.glob("validation/logmel-*.h5")
    clips = DataDir(place.data / "validation").clips
    scores = read_scores(place.experiment / "scores" / "validation.h5")
    assert scores.filenames == clips.filename
    short = clips.duration_s < 9.9
    assert short.any() and not short.all()
    file = FeatureFile(path)
    np.testing.assert_array_less(np.abs(file.n_frames / 64 - clips.duration_s), 1.01 / 64)
    for i in np.flatnonzero(short):
        assert abs(scores.edges(i)[-1] - clips.duration_s[i]) < 1e-6
        assert (scores.framewise[i, scores.n_frames[i] :] == 0).all()


def test_real_recordings_are_scored_and_submitted(real: tuple[Place, subprocess.CompletedProcess[str]]) -> None:
    place, _ = real
    results = read_json(place.experiment / "results" / "validation.json")
    assert results["reference"]["clips"] == 80 and results["reference"]["known_as"] is None
    judged = every_class_throughout(place.data / "validation", DESED_CLASSES.labels)
    for block, f1 in judged.items():
        assert results["baselines"]["all_positive"][block]["macro"]["f1"] == pytest.approx(macro(f1), abs=1e-9)
    events = read_strong(place.data / "validation" / "strong.tsv", DESED_CLASSES.labels)
    assert len(set(events.clip.tolist())) < len(events.filenames), "clips without events count, too"
    (folder,) = (path for path in place.submissions.iterdir() if path.is_dir())
    (table,) = folder.glob("*.output.csv")
    assert set(read_strong(table, DESED_CLASSES.labels).filenames) <= set(events.filenames)
