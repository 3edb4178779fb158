"""Pictures of what was detected: a minute each, drawn at the right times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from networks import make_experiment
from PIL import Image

from sedkit.cli.main import main
from sedkit.dataio.event_formats import Detected
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.report.detection import _page, draw, pages_of


def test_a_recording_is_cut_into_minutes() -> None:
    assert pages_of(3.2) == [(0.0, 3.2)]
    assert pages_of(60.9) == [(0.0, 60.9)]
    assert pages_of(150.0) == [(0.0, 60.0), (60.0, 120.0), (120.0, 150.0)]


def scores_of(seconds: float) -> tuple[Scores, Detected]:
    """Ten frames a second; Cat from 61 to 62.5 s, Dog never."""
    n = round(10 * seconds)
    framewise = np.zeros((1, n, 2), np.float32)
    framewise[0, 610:625, 0] = 0.9
    scores = Scores(framewise, np.array([n]), np.array([seconds]), np.arange(n + 1) / 10, ("a.wav",), ("Cat", "Dog"))
    rows = [("a.wav", 61.0, 62.5, "Cat")]
    return scores, Detected(Events.from_rows(rows, ("Cat", "Dog")), [seconds], 4000.0)


def test_events_and_curves_lie_at_their_times() -> None:
    scores, detected = scores_of(100.0)
    waveform = np.zeros(40 * 16000, np.float32)
    waveform[16000 : 16000 * 5 // 2] = np.sin(2 * np.pi * 1000 * np.arange(24000) / 16000)
    figure = _page(waveform, scores, detected, (60.0, 100.0))
    spectrogram, lanes, curves = figure.axes
    assert all(axes.get_xlim() == (60.0, 100.0) for axes in (spectrogram, lanes, curves))
    (bar,) = [path for lane in lanes.collections for path in lane.get_paths()]
    np.testing.assert_allclose([bar.vertices[:, 0].min(), bar.vertices[:, 0].max()], [61.0, 62.5])
    cat = next(patch for patch in curves.patches if patch.get_label() == "Cat")
    values, edges, _ = cat.get_data()
    active = np.flatnonzero(values > 0.5)
    np.testing.assert_allclose([edges[active[0]], edges[active[-1] + 1]], [61.0, 62.5])
    # The tone, a second after the picture's begin, is where the sound is.
    (image,) = spectrogram.images
    levels = np.asarray(image.get_array()).max(axis=0)
    loud = np.flatnonzero(levels > levels.max() - 20) / len(levels) * 40 + 60
    assert 60.9 < loud[0] < 61.1 and 62.4 < loud[-1] < 62.6


def test_every_minute_is_a_file_whole_or_not_there(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 100 * 8000), 8000)
    draw(tmp_path / "a.wav", *scores_of(100.0), tmp_path / "plots/a.png")
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["a.2.png", "a.png"]
    with Image.open(tmp_path / "plots/a.2.png") as picture:
        assert picture.size[0] > 1000 and np.asarray(picture.convert("L")).std() > 20


def test_the_command_draws(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path / "exp", {"name": "cnn9_avg", "base_channels": 1})
    for name in ("site/a.wav", "b.wav"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, np.random.default_rng(0).normal(0, 0.1, 16000), 8000)
    call = ["detect", str(experiment), str(tmp_path / "in"), "--postprocessing", "0.0"]
    out = ["--out", str(tmp_path / "events.tsv"), "--plot", str(tmp_path / "plots")]
    assert main([*call, *out]) == 0
    pictures = [tmp_path / "plots" / name for name in ("site/a.png", "b.png")]
    assert all(path.stat().st_size > 10_000 for path in pictures)
    # A picture that is gone is drawn again.
    pictures[0].unlink()
    assert main([*call, *out]) == 0
    assert pictures[0].is_file()
