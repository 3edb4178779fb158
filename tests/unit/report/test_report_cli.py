"""The call from the command line, and what it refuses."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_data import LABELS
from networks import SLICED, TEN, make_experiment
from tone_case import FRAMES, NAMES, make_mixtures, noise

from sedkit.cli.main import main
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.store import write_scores
from sedkit.postprocessing.rules import FrameRule, Postprocessing
from sedkit.report import figures
from sedkit.report.subject import Subject


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels: what is in them is looked at elsewhere."""
    save = figures.save

    def quick(figure: object, path: Path, dpi: int, ending: str) -> None:
        # What an SVG holds is seen elsewhere.
        if ending == "svg":
            path.write_text("<svg/>", encoding="utf-8")
        else:
            save(figure, path, 20, ending)

    monkeypatch.setattr(figures, "save", quick)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network without masks, of 8 kHz."""
    return make_experiment(tmp_path_factory.mktemp("cnn"), {"name": "cnn9_avg", "base_channels": 2}, TEN, 64)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def names(folder: Path) -> list[str]:
    """Files of a folder, without the drawing of the network (`test_network.py`)."""
    return sorted(path.name for path in folder.iterdir() if ".network." not in path.name)


def test_every_figure_of_the_clips_that_were_asked_for(
    two_step: Path, mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = shutil.copytree(two_step, tmp_path / "exp")
    Postprocessing.uniform(LABELS, FrameRule(0.5)).write(experiment / "postprocessing.yaml")
    out = tmp_path / "figures"
    # Digits that begin with 0 are a name, not a number of clips.
    assert main(["report", str(experiment), str(mixtures), "--figures", str(out), "--clips", "00012,00000"]) == 0
    kinds = ("attention", "curves", "detection", "frames", "masks", "overlay", "reconstruction", "waveform")
    assert names(out) == [
        f"{clip}.{kind}.{ending}" for clip in ("00000", "00012") for kind in kinds for ending in ("png", "svg")
    ]
    events = f"there is no {experiment / 'events' / 'snr0.tsv'} (--events names another file)"
    assert said(capsys) == [
        f"report: no learning: there is no {experiment / 'metrics.jsonl'}",
        f"report: no cross_triggers, durations: {events}",
        f"report: no cooccurrence: there is no {experiment / 'scores' / 'snr0.h5'} (--scores names another file)",
        f"report: no class_f1, counts: {events}",
        "report: no psd_roc, thresholds: no operating points and no scores of snr0",
        f"report: {out}: figures: 32 of 2 recordings, 0 of sets, 2 of training",
    ]


def test_figures_of_the_set(
    two_step: Path, mixtures: Path, subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, out = tmp_path / "scores.h5", tmp_path / "figures"
    write_scores(scores, subject.scores)
    events = str(mixtures / "strong.tsv")
    call = ["report", str(two_step), str(mixtures), "--scores", str(scores), "--events", events, "--clips", "1"]
    assert main([*call, "--figures", str(out)]) == 0
    kinds = ("class_f1", "cooccurrence", "counts", "cross_triggers", "durations", "psd_roc", "thresholds")
    expected = [f"snr0.{kind}.{ending}" for kind in kinds for ending in ("png", "svg")]
    assert [name for name in names(out) if name.startswith("snr0")] == expected
    assert said(capsys)[-1].endswith("figures: 16 of 1 recordings, 14 of sets, 2 of training")


def test_clips_are_spread_over_the_fold(two_step: Path, mixtures: Path, tmp_path: Path) -> None:
    call = ["report", str(two_step / "checkpoints" / "best.pt"), str(mixtures), "--clips", "1"]
    assert main([*call, "--figures", str(tmp_path / "2"), "--fold", "2"]) == 0
    assert {name.split(".")[0] for name in names(tmp_path / "2")} == {"00013"}


def test_what_network_and_data_lack_is_left_out_and_said(
    cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "recordings"
    write_datadir(data, Clips(("a.wav",), ("../a.wav",), np.array([6.0])), Vocabulary(LABELS))
    soundfile.write(tmp_path / "a.wav", noise(), 8000)
    assert main(["report", str(cnn), str(data), "--figures", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == [
        f"a.{kind}.{ending}"
        for kind in ("curves", "detection", "frames", "overlay", "waveform")
        for ending in ("png", "svg")
    ]
    lines = said(capsys)
    masks = "the network gives no masks of time and frequency, expected one that does, such as segmentation_gwrp"
    stems = "`sedkit mix render --stems true`"
    assert lines[:-1] == [
        f"report: no masks, reconstruction, attention: {masks}",
        f"report: waveform without events: {data} has no strong.tsv",
        f"report: waveform without ideal mask: {data} has no stems beside it, as {stems} writes them",
        f"report: frames, curves, detection without true events: {data} has no strong.tsv",
        "report: frames, detection without decoded events: the experiment has no postprocessing.yaml",
        f"report: overlay without marks of present classes: {data} has no weak.tsv and no strong.tsv",
        f"report: no learning: there is no {cnn / 'metrics.jsonl'}",
        f"report: no cross_triggers, durations, cooccurrence: {data} has no strong.tsv",
        f"report: no class_f1, psd_roc, thresholds: {data} has no strong.tsv",
        f"report: no counts: there is no {cnn / 'events' / 'recordings.tsv'} (--events names another file)",
    ]
    assert lines[-1] == f"report: {tmp_path / 'out'}: figures: 10 of 1 recordings, 0 of sets, 2 of training"


def test_recordings_longer_than_a_window_have_masks_but_no_attention(
    mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"name": "two_step_attention", "base_channels": 2}
    experiment = make_experiment(tmp_path / "exp", model, SLICED, FRAMES // 4)
    call = ["report", str(experiment), str(mixtures), "--clips", "00012", "--figures", str(tmp_path / "out")]
    assert main(call) == 0
    assert names(tmp_path / "out") == [
        f"00012.{kind}.{ending}"
        for kind in ("curves", "detection", "frames", "masks", "overlay", "waveform")
        for ending in ("png", "svg")
    ]
    why = "a recording of 6 s, expected at most one window of the network, 1.5 s"
    assert f"report: no reconstruction, attention: {why}" in said(capsys)


def refused(words: list[object], status: int, capsys: pytest.CaptureFixture[str]) -> str:
    """What a call that fails says, in one line."""
    assert main(["report", *map(str, words)]) == status
    (line,) = said(capsys)
    return line


def test_bad_use_is_told_in_a_line(
    two_step: Path, mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = [two_step, mixtures, "--figures", tmp_path / "out"]
    line = refused([*call, "--clips", "00012.wave"], 2, capsys)
    assert line.startswith("sedkit report: error: --clips 00012.wave: no such clip") and "did you mean" in line
    assert "--clips 00013: no such clip" in refused([*call, "--clips", "00013", "--fold", "1"], 2, capsys)
    assert "0, expected a whole number from 1" in refused([*call, "--clips", "0"], 2, capsys)
    assert "is a data dir: expected an experiment" in refused(call[1:], 2, capsys)
    assert "is no experiment (no config.yaml, checkpoints/, " in refused([tmp_path, *call[1:]], 1, capsys)
    assert "is a checkpoint" in refused([two_step / "checkpoints" / "best.pt", mixtures], 2, capsys)
    other = make_mixtures(tmp_path / "other", ("Siren", "Bell"))
    line = refused([two_step, other, *call[2:]], 1, capsys)
    assert "its classes (Siren, Bell) are none of the network's (Alarm, Cat, Dog)" in line
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refused(call, 1, capsys)
    assert "cannot be imported" in line and line.endswith("`pip install 'matplotlib>=3.8'`")


def test_stems_of_another_length_are_refused(
    two_step: Path, mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("snr0", "snr0.audio", "snr0.stems"):
        shutil.copytree(mixtures.with_name(folder), tmp_path / folder)
    for name in ("Dog", "scene"):
        soundfile.write(tmp_path / "snr0.stems" / "00000" / f"{name}.wav", noise()[:-8000], 8000)
    call = [two_step, tmp_path / "snr0", "--figures", tmp_path / "out", "--clips", NAMES[0]]
    assert "00000/scene.wav: 40000 samples, expected the 48000 of the mixture" in refused(call, 1, capsys)
