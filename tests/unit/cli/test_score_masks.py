"""`sedkit score --experiment EXP --mixtures DATA_DIR`: masks of a network against what mixtures are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from score_case import EST, SCORES, Case

from sedkit.cli.main import main
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.normalise import Normalisation
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model

from ..synthesis.mix_case import LABELS, RATE, render_small

MODEL = {"name": "segmentation_gwrp", "base_channels": 2}
FRONTEND = LogMel(RATE, n_fft=512, hop_samples=256, centre=False, n_mels=16, fmax_hz=None, clip_s=None)
FRAMES = 61
RUN = {"recipe": "mixtures", "system": "gwrp", "seed": 0}


def checkpoint(path: Path, model: dict[str, Any] = MODEL, trained: tuple[str, str] = ("mixtures/snr0", "2")) -> Path:
    torch.manual_seed(0)
    network = build_model(model, len(LABELS), FRONTEND.n_bins)
    normalisation = Normalisation.from_section(None, FRONTEND.n_bins)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(
        path,
        Checkpoint(
            model=resolve_model(model),
            labels=Vocabulary(LABELS),
            frontend=FRONTEND.as_dict(),
            frontend_hash=FRONTEND.hash8,
            window=FRAMES,
            normalise=normalisation.resolved(),
            fitted=normalisation.state_dict(),
            networks={"network": network.state_dict()},
            run=RUN | {"saw": {"trained": [list(trained)], "selected": [["mixtures/snr0", "1"]]}},
        ),
    )
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A rendered set `snr0` and an experiment `exp` that was trained on its fold 2."""
    render_small(tmp_path)
    checkpoint(tmp_path / "exp" / "checkpoints" / "best.pt")
    return tmp_path


@pytest.fixture
def call(files: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Score fold 1 by its masks; further words and others' places as given."""

    def score(*words: str, metrics: str = "segmentation") -> tuple[int, str, str]:
        data = files / "snr0"
        given = ["--reference", str(data / "strong.tsv"), "--metrics", metrics, "--device", "cpu"]
        given += ["--experiment", str(files / "exp"), "--mixtures", str(data), "--clips", str(data / "clips.tsv")]
        status = main(["score", *given, *(words if "--fold" in words else (*words, "--fold", "1"))])
        return status, *capsys.readouterr()

    return score


def test_masks_alone_are_scored(files: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    out = files / "out.json"
    status, _, err = call("--json", str(out), "--bootstrap", "100")
    assert status == 0, err
    results = json.loads(out.read_text())
    block = results["segmentation"]
    assert block["clips"] == results["reference"]["clips"] == 3
    assert block["parameters"] == {"clips": None, "threshold": 0.1, "level_db": -5.0}
    # Three clips of four fold, 61 frames of 16 bins: an untrained network has masks of about a half, all found.
    assert block["micro"]["n_estimate"] == 3 * FRAMES * 16 * len(block["classes"])
    assert block["micro"]["interval"][0] <= block["micro"]["f1"] <= block["micro"]["interval"][1]
    path = files / "exp" / "checkpoints" / "best.pt"
    assert (results["estimate"]["path"], results["estimate"]["coverage"]) == (str(path), 1.0)
    assert {name: results["run"][name] for name in RUN} == RUN


def test_the_table_shows_masks_beside_frames(files: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    data = files / "snr0"
    features, scores = files / "features.h5", files / "scores.h5"
    assert main(["extract", str(data), "--out", str(features), "--config", str(config(files))]) == 0
    assert main(["predict", str(files / "exp"), str(features), "--out", str(scores), "--device", "cpu"]) == 0
    status, out, err = call("--scores", str(scores), metrics="frame,segmentation,tagging")
    assert status == 0, err
    rows = [line for line in out.splitlines() if " macro" in line or " micro" in line]
    assert [row.split("  ")[0].strip() for row in rows] == [
        f"{title} {place}" for title in ("tagging", "frame-based", "segmentation") for place in ("macro", "micro")
    ]
    assert all("F1 " in row and "AP " in row and "AUC " in row for row in rows)


def config(folder: Path) -> Path:
    values = {name: value for name, value in FRONTEND.as_dict().items() if value is not None}
    path = folder / "conf.yaml"
    path.write_text(
        "frontend:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in values.items()) + "  clip_s: null\n"
    )
    return path


def test_a_clip_that_the_network_was_trained_on_is_refused(call: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = call("--fold", "1,2")
    assert (status, err.count("\n")) == (2, 1)
    assert "was trained on (mixtures/snr0, fold 2)" in err


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (("--mixtures",), "--metrics segmentation needs --mixtures"),
        (("--experiment", "--device"), "--metrics segmentation needs --experiment"),
        (("--experiment", "--mixtures", "--device"), "--metrics segmentation needs --experiment and --mixtures"),
        (("--experiment",), "--device is of the network that gives masks: give --experiment too"),
    ],
)
def test_a_missing_input_is_named(case: Case, files: Path, without: tuple[str, ...], message: str) -> None:
    given = {"--experiment": str(files / "exp"), "--mixtures": str(files / "snr0"), "--device": "cpu"}
    words = [w for name, value in given.items() if name not in without for w in (name, value)]
    status, _, err = case.call(*SCORES, *words, "--metrics", "segmentation")
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


def test_a_network_without_masks_is_refused(files: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    checkpoint(files / "exp" / "checkpoints" / "best.pt", {"name": "cnn9"} | {"base_channels": 2})
    status, _, err = call()
    assert (status, err.count("\n")) == (2, 1)
    assert "best.pt: the network gives no masks" in err


def test_a_call_is_up_to_date_until_a_stem_or_the_checkpoint_changes(
    files: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    out = files / "out.json"

    def again() -> bool:
        status, _, err = call("--json", str(out))
        assert status == 0, err
        return "is up to date" not in err

    assert [again(), again()] == [True, False]
    fold = dict(line.split("\t")[::3] for line in (files / "snr0" / "clips.tsv").read_text().splitlines())
    mine, other = (next(name for name in fold if fold[name] == k).removesuffix(".wav") for k in "12")
    # A stem of another fold is no part of the figures.
    for clip, changed in ((other, False), (mine, True)):
        path = files / "snr0.stems" / clip / "scene.wav"
        samples, _ = soundfile.read(path, dtype="int16")
        soundfile.write(path, np.roll(samples, 1), RATE, subtype="PCM_16")
        assert again() is changed
    checkpoint(files / "exp" / "checkpoints" / "best.pt", MODEL | {"base_channels": 3})
    assert [again(), again()] == [True, False]


def test_nothing_heavy_is_loaded_where_no_metric_needs_masks(case: Case, files: Path) -> None:
    """Neither for other metrics, nor to see that figures of masks are up to date."""
    code = "import sys; from sedkit.cli.main import main; status = main(sys.argv[1:]); "
    code += "print(sorted({'torch', 'librosa'} & set(sys.modules))); sys.exit(status)"
    reference, mixtures = files / "snr0" / "strong.tsv", ["--mixtures", str(files / "snr0")]
    network = ["--experiment", str(files / "exp"), *mixtures]
    alone = ["--reference", str(reference), *network, "--metrics", "segmentation", "--json", str(files / "out.json")]
    checkpoint(files / "exp" / "checkpoints" / "best.pt", trained=("other", "1"))
    assert main(["score", *alone]) == 0
    estimate = [str(case.folder / w[1:]) if w.startswith("@") else w for w in EST]
    others = ["--reference", str(case.folder / "ref.tsv"), *estimate, *network, "--metrics", "event"]
    for words in (alone, others):
        done = subprocess.run(
            [sys.executable, "-c", code, "score", *words], capture_output=True, text=True, check=True, env=os.environ
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_benchmark_lists_figures_of_frames_and_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    averages = {"macro": {"f1": 0.25, "average_precision": 0.5}, "micro": {"f1": 0.3, "average_precision": 0.4}}
    decibels = {"sdr": 1.25, "sir": 2.5, "sar": 3.75, "sdr_improvement": -0.5}
    results = {
        "reference": {"path": "ref.tsv"},
        "frame_based": {"parameters": {"threshold": 0.2, "gate": 0.0}, **averages},
        "segmentation": {"parameters": {"threshold": 0.1, "level_db": -5.0, "clips": None}, **averages},
        "separation": {"parameters": {"taps": 512}, "micro": decibels},
        "run": {"recipe": "mixtures", "system": "gwrp", "seed": 0},
    }
    (tmp_path / "out.json").write_text(json.dumps(results))
    assert main(["benchmark", str(tmp_path / "out.json"), "--csv", str(tmp_path / "out.csv")]) == 0
    text = (tmp_path / "out.csv").read_text()
    # The gate is not the published one, so it is told.
    for name, value in (
        ("frame_f1", "25.00"),
        ("frame_map", "50.00"),
        ("tf_segmentation_f1", "25.00"),
        ("tf_segmentation_map", "50.00"),
        ("sdr", "1.25"),
        ("sir", "2.50"),
        ("sar", "3.75"),
        ("sdr_improvement", "-0.50"),
    ):
        rows = [line for line in text.splitlines() if f",{name}," in line and "gwrp" in line]
        assert any(value in row for row in rows), (name, rows)
    capsys.readouterr()
    assert main(["benchmark", str(tmp_path / "out.json")]) == 0
    shown = capsys.readouterr().out
    assert "frame-based F1, macro (%), threshold 0.2 gate 0" in shown
    assert "time-frequency segmentation F1 (%)\n" in shown or "time-frequency segmentation F1 (%)" in shown
