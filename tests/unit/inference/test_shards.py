"""Clips scored a shard at a time, as many processes do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import make_checkpoint, make_experiment

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores
from sedkit.inference import shards
from sedkit.inference.shards import Scored, Work, predict_shards
from sedkit.models.checkpoint import write_checkpoint

CNN = {"name": "cnn9_avg", "base_channels": 2}


@pytest.fixture
def work(data_root: Path, tmp_path: Path) -> Work:
    write_checkpoint(tmp_path / "c.pt", make_checkpoint(CNN))
    return Work(tmp_path / "c.pt", data_root / "validation", batch_size=4, device="cpu", precision="fp32")


def test_in_whatever_order_and_by_whichever_process_they_are_scored(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = len(DataDir(work.source).clips)
    whole = predict_shards(work, clips)
    assert clips == 20 and whole.way == "cpu fp32"
    monkeypatch.setattr(shards, "_SHARD_CLIPS", 8)
    used = []

    def run_jobs(function: Callable[[range], Scored], items: Sequence[range], jobs: int, _: str) -> list[Scored]:
        made: dict[range, Scored] = {}
        for item in reversed(items):
            # Another process has opened nothing.
            shards._opened.cache_clear()
            made[item] = function(item)
        used.append((jobs, [len(item) for item in items]))
        return [made[item] for item in items]

    monkeypatch.setattr(shards, "run_jobs", run_jobs)
    many = predict_shards(work._replace(threads=None), clips, jobs=3)
    assert used == [(3, [8, 8, 4])]
    for name in ("framewise", "clipwise", "n_frames", "duration_s", "frame_edges_s"):
        np.testing.assert_array_equal(getattr(many.scores, name), getattr(whole.scores, name), err_msg=name)
    assert many.scores.filenames == whole.scores.filenames and many.run == whole.run


def test_a_checkpoint_of_other_content_is_opened_anew(work: Work) -> None:
    one = predict_shards(work, 20).scores
    other = make_checkpoint(CNN)
    for value in other.networks["network"].values():
        value.copy_(value * 0.5) if value.is_floating_point() else value
    write_checkpoint(work.checkpoint, other)
    assert not np.array_equal(predict_shards(work._replace(content="other"), 20).scores.framewise, one.framewise)


def test_processors_that_compute_in_other_ways_are_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = iter(["cpu bf16", "cpu fp32"])
    monkeypatch.setattr(shards, "_SHARD_CLIPS", 10)
    score = shards._score
    monkeypatch.setattr(shards, "_score", lambda work, rows: score(work, rows)._replace(way=next(ways)))
    with pytest.raises(SedkitError, match="scored on cpu bf16, others on cpu fp32, .*--device and --precision"):
        predict_shards(work, 20)


def test_the_verb_takes_shards_of_folds_and_of_windows(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, data = make_experiment(tmp_path / "exp", CNN), DataDir(data_root / "weak")
    table = tmp_path / "windows.tsv"
    rows = [f"{name}\t{onset}\t{onset + 1}\n" for name in data.clips.filename for onset in (0, 0.5)]
    table.write_text("filename\tonset\toffset\n" + "".join(rows))

    def scores(*words: str) -> Scores:
        out = tmp_path / "s.h5"
        assert main(["predict", str(exp), str(data.path), "--out", str(out), "--force", "true", *words]) == 0
        return read_scores(out)

    calls: list[list[str]] = [["--fold", "tune"], ["--windows", str(table)], ["--window", "whole"]]
    before = [scores(*call) for call in calls]
    monkeypatch.setattr(shards, "_SHARD_CLIPS", 16)
    for call, expected in zip(calls, before, strict=True):
        many: Any = scores(*call)
        assert many.filenames == expected.filenames
        np.testing.assert_allclose(many.framewise, expected.framewise, atol=1e-6)
        np.testing.assert_array_equal(many.n_frames, expected.n_frames)
