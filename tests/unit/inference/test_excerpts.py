"""Excerpts of recordings as clips of their own (`sedkit predict --windows`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import SLICED, predictor

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.excerpts import lay_excerpts
from sedkit.dataio.scores import Scores
from sedkit.features.extract import extract
from sedkit.features.frontends import features_path
from sedkit.inference.clips import Place, open_clips
from sedkit.inference.predict import predict_clips

#: Of 100 frames a second, five of which make one score.
NETWORK = {"name": "tests_mean", "pooling": 20, "input_frames": None}


def test_excerpts_have_names_of_their_own_and_the_last_ends_with_its_recording(tmp_path: Path) -> None:
    names, seconds = ("a.wav", "b.wav"), np.array([2.4, 1.0])
    rng = np.random.default_rng(5)
    waves = [rng.normal(0, 0.1, round(s * SLICED.sample_rate)).astype(np.float32) for s in seconds]
    for name, wave in zip(names, waves, strict=True):
        write_wav(tmp_path / name, wave, SLICED.sample_rate)
    clips = Clips(names, tuple(str(tmp_path / name) for name in names), seconds)
    excerpts = lay_excerpts(names, seconds, 1.0, 0.8)
    data = write_datadir(tmp_path / "d", clips, Vocabulary(("Alarm", "Cat", "Dog")), excerpts=excerpts)
    extract(data, SLICED, features_path(data.path, SLICED))
    network = predictor(NETWORK, SLICED, 100)

    def scored(table: Path) -> Scores:
        return predict_clips(network, open_clips(Place.of(data.path, SLICED, None, table), SLICED))

    scores = scored(data.path / "excerpts.tsv")
    spans = ("a-000000-000100", "a-000080-000180", "a-000160-000240", "b-000000-000100")
    assert scores.filenames == tuple(f"{name}.wav" for name in spans)
    assert scores.duration_s.tolist() == pytest.approx([1.0, 1.0, 0.8, 1.0])
    assert scores.n_frames.tolist() == [5, 5, 4, 5]
    features = SLICED.transform(waves[0][None])[0]
    expected = features[160:240].reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(scores.framewise[2, :4, 0], expected, rtol=1e-3)
    assert not scores.framewise[2, 4].any()
    (tmp_path / "short.tsv").write_text("filename\tonset\toffset\texcerpt\na.wav\t0\t1\tx\na.wav\t1\t1.5\ty\n")
    with pytest.raises(SedkitError, match="expected all of one length, but for those that end with their recording"):
        scored(tmp_path / "short.tsv")
