"""A recipe that tunes nothing: its first preset becomes the rules of each run; several trainings are submitted."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sedkit.cli.main import main
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores
from sedkit.postprocessing import Postprocessing


def test_the_preset_is_written_and_decodes_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = "exp/dcase2024_task4/crnn_2024@teacher/seed0"
    recipe = str(repository / "recipes/dcase2024_task4/recipe.yaml")
    calls = {}
    for stage in ("tune", "score"):
        words = [
            "stage",
            stage,
            "--recipe",
            recipe,
            "--data",
            "data/dcase2024_task4",
            "--run",
            run,
            "--dry-run",
            "true",
        ]
        assert main(words) == 0
        calls[stage] = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    start = ["sedkit", "tune", f"{run}/scores/validation.h5", "--start", "baseline2024"]
    assert calls["tune"] == [[*start, "--out", f"{run}/postprocessing.yaml"]]
    decoded = [words for words in calls["score"] if words[1] == "decode"]
    assert len(decoded) == 4
    assert {words[words.index("--postprocessing") + 1] for words in decoded} == {f"{run}/postprocessing.yaml"}


def test_rules_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("Cat", "Dog")
    framewise = np.zeros((1, 10, 2), np.float32)
    edges_s = np.arange(11) / 10
    scores = Scores(framewise, np.array([10]), np.array([1.0]), edges_s, ("a.wav",), labels, framewise.max(1))
    write_scores(tmp_path / "scores.h5", scores)
    out = tmp_path / "rules.yaml"
    call = ["tune", str(tmp_path / "scores.h5"), "--out", str(out), "--start"]
    assert main([*call, "0.3"]) == 0
    rules = Postprocessing.read(out)
    assert rules.labels == labels and rules.tuned_on is None and [rule.threshold for rule in rules.rules] == [0.3, 0.3]
    assert main([*call, "0.3", "--objective", "event"]) == 2
    assert "--objective is given alone" in capsys.readouterr().err
    assert main([*call, "0.3", "--reference", "x.tsv"]) == 2
    assert "--reference is given alone" in capsys.readouterr().err


def test_three_trainings_of_each_network_are_submitted(repository: Path) -> None:
    call = [str(repository / "runme.sh"), "dcase2024_task4", "--dry-run", "true", "--stage", "8", "--stop-stage", "8"]
    done = subprocess.run([*call, "--seeds", "0,1,2,3"], capture_output=True, text=True, check=True, cwd=repository)
    (pack,) = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("sedkit pack")]
    runs = pack[pack.index("--experiment") + 1 : pack.index("--set")]
    systems = [f"exp/dcase2024_task4/crnn_2024@{name}" for name in ("student", "teacher")]
    assert sorted(runs) == [f"{system}/seed{k}" for system in systems for k in range(3)]
    assert pack[pack.index("--development") + 1] == "validation,maestro_validation"
    assert pack[pack.index("--miniature") + 1] == "true"
