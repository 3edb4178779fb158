"""Training runs: what they reach, what they keep and what they refuse."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_data import LABELS, make_set, write_config
from training_runs import records, same_state, train

from sedkit.core.errors import SedkitError
from sedkit.core.files import read_yaml
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.models.checkpoint import read_checkpoint
from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan
from sedkit.training.selection import evaluate


@pytest.mark.parametrize("target", ["clip", "frame"])
def test_overfits_a_few_clips(data_root: Path, tmp_path: Path, target: str) -> None:
    stream = {"set": "synthetic", "labels": {"target": target}}
    data = {"streams": {"synthetic": stream}, "select": {"other": {"set": "synthetic", "folds": ["tune"]}}, "draw": []}
    objective = {"name": "clip_bce" if target == "clip" else "frame_bce"}
    model = {"name": "cnn9_avg", "base_channels": 4, "clipwise": "feature_max" if target == "clip" else "frame_max"}
    done = train(
        data_root,
        tmp_path / "exp",
        "training.steps=80",
        "training.batch_size=6",
        "optimiser.learning_rate=0.01",
        "training.eval_every=80",
        data=data,
        objective=objective,
        model=model,
    )
    figures = evaluate(done.network, done.streams["synthetic"], done.normalise, done.objective, torch.float32, LABELS)
    assert figures["clip_map"] > 0.99
    # The classes come from the same generator in the other folds: what was learnt holds there too.
    assert records(tmp_path / "exp")[-1]["select"]["network"]["other"]["clip_map"] > 0.8
    if target == "frame":
        assert figures["frame_map"] > 0.9


def prevalence_gap(done: Experiment, folder: Path) -> float:
    drawn = records(folder)[-1]["draw"]["network"]["validation"]
    prevalence = float(np.mean(done.draw["validation"].sets[0].targets.present))
    return drawn["clip_map"] - prevalence


def test_untrained_or_misled_networks_stay_near_the_prevalence(tmp_path: Path) -> None:
    make_set(tmp_path / "data", "weak", 200, 0, ("train", "select"), shuffled=True)
    make_set(tmp_path / "data", "validation", 200, 2, ("validation",))
    gaps: dict[str, list[float]] = {"untrained": [], "misled": []}
    # Random weights answer to loudness one way or the other: it is their mean that has to be nothing.
    for seed in range(4):
        common = (f"training.seed={seed}", "training.eval_every=30")
        for name, more in (
            ("untrained", ("training.steps=1", "optimiser.learning_rate=1e-12")),
            ("misled", ("training.steps=30",)),
        ):
            folder = tmp_path / f"{name}{seed}"
            done = train(tmp_path / "data", folder, *common, *more)
            gaps[name].append(prevalence_gap(done, folder))
    assert abs(np.mean(gaps["untrained"])) < 0.10, gaps
    assert abs(np.mean(gaps["misled"])) < 0.10, gaps


def test_folder_and_checkpoint(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exp"
    train(data_root, folder)
    assert {p.name for p in folder.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "run.sh",
        "summary.json",
    }
    rows = records(folder)
    assert [r["step"] for r in rows] == [6, 12]
    assert (
        {"loss", "clip_map"}
        == set(rows[0]["select"]["network"]["weak"])
        == set(rows[0]["draw"]["network"]["validation"])
    )
    assert [row["learning_rate"] for row in rows] == pytest.approx([9e-4, 7.29e-4])
    last, best = (read_checkpoint(folder / "checkpoints" / name) for name in ("last.pt", "best.pt"))
    assert last.step == 12
    assert best.step == json.loads((folder / "summary.json").read_text())["best_step"]
    assert set(last.training["loop"]) == {"optimiser", "objective", "random", "progress"}
    assert last.config["optimiser"]["amsgrad"] is True and last.window == 64
    saw = {"trained": [["fake/weak", "train"]], "selected": [["fake/weak", "select"]]}
    run = {"recipe": "fake", "system": "fake_weak", "pass": None, "fold": None, "snr_db": None, "seed": 0}
    run |= {"trained_on": "split", "budget": None}
    made = {"inputs": last.run["inputs"], "made_with": last.run["made_with"]}
    assert last.run == best.run == run | {"saw": saw} | made
    assert made["made_with"]["torch"] == torch.__version__ and len(made["inputs"]) == 64
    assert list(last.labels) == ["Alarm", "Cat", "Dog"]
    # The z-scores are those of the training clips' real frames.
    file, data = FeatureFile(next((data_root / "weak").glob("*.h5"))), DataDir(data_root / "weak")
    chosen = [file.filenames.index(data.clips.filename[i]) for i in data.select(["train"])]
    real = np.concatenate([file.features[i, : file.n_frames[i]] for i in chosen]).astype(np.float64)
    np.testing.assert_allclose(last.fitted["zscore"]["mean"].numpy(), real.mean(axis=0), rtol=1e-6)
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["windows"] == {"streams": {"weak": 24}, "select": {"weak": 8}, "draw": {"validation": 20}}
    assert environment["hardware"]["device"] == "cpu"


def test_same_seed_same_run_other_seed_another(data_root: Path, tmp_path: Path) -> None:
    runs = {
        name: train(data_root, tmp_path / name, f"training.seed={seed}")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    }
    a, b, c = (runs[name].network.state_dict() for name in "abc")
    assert same_state(a, b)
    assert not same_state(a, c)
    assert records(tmp_path / "a") == records(tmp_path / "b")


def test_selection_and_training_clips_stay_apart(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match=r"data.select.weak holds 24 clips of data.streams.weak, such as weak0.wav"):
        train(data_root, tmp_path / "exp", "data.select.weak.folds=[train]")


def test_the_last_step_can_be_the_best(data_root: Path, tmp_path: Path) -> None:
    done = train(data_root, tmp_path / "exp", "selection={name: last}", "training.steps=6", "training.eval_every=2")
    assert done.loop.progress.best_step == 6
    best, last = (read_checkpoint(tmp_path / f"exp/checkpoints/{name}.pt") for name in ("best", "last"))
    assert same_state(best.networks[best.selected], last.networks[best.selected])


def test_select_by_what_the_part_does_not_give(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="selection: frame_map, which data.select.weak does not give"):
        train(data_root, tmp_path / "exp", "selection.figures={weak: frame_map}")


def test_pseudo_labels_are_trained_on_and_curves_are_drawn_on_true_ones(data_root: Path, tmp_path: Path) -> None:
    """A table that calls every clip a dog: it is believed, and validation knows better."""
    names = DataDir(data_root / "weak").clips.filename
    (tmp_path / "pseudo.tsv").write_text("filename\tevent_labels\n" + "".join(f"{name}\tDog\n" for name in names))
    weak = {"set": "weak", "labels": {"source": str(tmp_path / "pseudo.tsv")}}
    select = {"weak": {"set": "weak", "folds": ["select"]}}
    done = train(
        data_root, tmp_path / "exp", data={"streams": {"weak": weak}, "select": select, "draw": ["validation"]}
    )
    assert np.unique(done.streams["weak"].sets[0].targets.present, axis=0).tolist() == [[False, False, True]]
    validation = DataDir(data_root / "validation").weak().present
    assert (done.draw["validation"].sets[0].targets.present == validation).all()
    # What the labels are counts, not where they lie.
    key = done.plan.key
    (tmp_path / "moved").mkdir()
    (tmp_path / "pseudo.tsv").rename(tmp_path / "moved/pseudo.tsv")
    other = f"data.streams.weak.labels.source={tmp_path}/moved/pseudo.tsv"

    def moved_key() -> str:
        return make_plan(tmp_path / "exp.yaml", [other], data_root, tmp_path / "exp").key

    assert moved_key() == key
    (tmp_path / "moved/pseudo.tsv").write_text((tmp_path / "moved/pseudo.tsv").read_text().replace("Dog", "Cat", 1))
    assert moved_key() != key


def test_rules_for_figures_of_events_are_looked_at_before_anything_is_trained(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="nope"):
        train(data_root, tmp_path / "exp", "selection.postprocessing=nope")
    assert list((tmp_path / "exp").iterdir()) == []


def test_a_loss_that_is_not_finite_stops_the_run(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises((SedkitError, RuntimeError), match="not finite|between 0 and 1"):
        train(data_root, tmp_path / "exp", "optimiser.learning_rate=1e30")


def test_train_on_all_and_validation(data_root: Path, tmp_path: Path) -> None:
    train(data_root, tmp_path / "seed0")
    (tmp_path / "seed0/checkpoints/best.pt.done.json").write_text("{}")
    (tmp_path / "seed0/postprocessing.yaml").write_text("{}")
    split = records(tmp_path / "seed0")
    best_step = json.loads((tmp_path / "seed0/summary.json").read_text())["best_step"]
    for train_on, clips in (("all", 40), ("all+validation", 60)):
        folder = tmp_path / f"{train_on}_seed0"
        done = train(data_root, folder, f"training.train_on={train_on}")
        assert len(done.streams["weak"]) == clips
        assert done.select == {}
        assert ("validation" in done.draw) == (train_on == "all")
        best = read_checkpoint(folder / "checkpoints/best.pt")
        assert best.step == best_step
        assert best.run["trained_on"] == train_on
        more = [["fake/validation", None]] if "validation" in train_on else []
        assert best.run["saw"] == {"trained": [["fake/weak", None], *more], "selected": []}
        # On the schedule of the whole run, however early it ends.
        rate = next(row["learning_rate"] for row in split if row["step"] == best_step)
        assert records(folder)[-1]["learning_rate"] == rate
        assert json.loads((folder / "summary.json").read_text())["best"] is None


def test_two_streams_share_the_batch(data_root: Path, tmp_path: Path) -> None:
    data = {
        "streams": {
            "weak": {"set": "weak"},
            "synthetic": {"set": "synthetic", "labels": {"target": "frame"}, "share": 3.0},
        },
        "select": {
            "weak": {"set": "weak", "folds": ["select"]},
            "synthetic": {"set": "synthetic", "labels": {"target": "frame"}, "folds": ["select"]},
        },
    }
    done = train(
        data_root,
        tmp_path / "exp",
        "selection.figures={weak: loss, synthetic: frame_map}",
        data=data,
        objective={"name": "weak_strong_bce"},
    )
    assert done.loop.batches.counts == {"weak": 1, "synthetic": 3}
    row = records(tmp_path / "exp")[-1]
    assert set(row["train"]) == {"loss", "clip", "frame"}
    assert row["train"]["loss"] == pytest.approx(row["train"]["clip"] + row["train"]["frame"], rel=1e-5)
    figures = [
        -r["select"]["network"]["weak"]["loss"] + r["select"]["network"]["synthetic"]["frame_map"]
        for r in records(tmp_path / "exp")
    ]
    progress = read_checkpoint(tmp_path / "exp/checkpoints/last.pt").training["loop"]["progress"]
    assert (progress["best"], progress["best_step"]) == (max(figures), 6 * (1 + int(np.argmax(figures))))


def test_a_busy_machine_does_the_steps_of_a_quiet_one(
    repository: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe's quick budget, by a clock that stands still and by one that runs a minute ahead at each look."""
    quick = read_yaml(repository / "recipes/dcase2019_task4/conf/base.yaml")["budgets"]["quick"]
    # More than the 100 steps that every limit of time would leave.
    small = {"model.base_channels": 2, "training.steps": 104, "training.eval_every": 52}
    path = write_config(tmp_path / "c.yaml", budgets={"quick": {**quick, **small}})
    for name, ahead_s in (("quiet", 0.0), ("busy", 60.0)):
        looks = itertools.count()
        for clock in ("time.monotonic", "time.perf_counter", "time.process_time", "subprocess._time"):
            monkeypatch.setattr(clock, lambda looks=looks, ahead_s=ahead_s: next(looks) * ahead_s)
        (tmp_path / name).mkdir()
        Experiment(make_plan(path, [], data_root, tmp_path / name, budget="quick")).run(resume=False)
    assert [record["step"] for record in records(tmp_path / "busy")] == [52, 104]
    assert records(tmp_path / "busy") == records(tmp_path / "quiet")
    assert not torch.backends.cudnn.benchmark, "algorithms are not chosen by timing them"
    commits = [json.loads((tmp_path / name / "environment.json").read_text())["commit"] for name in ("quiet", "busy")]
    assert commits[0] == commits[1], "git is waited for"
    quiet, busy = (read_checkpoint(tmp_path / name / "checkpoints/last.pt") for name in ("quiet", "busy"))
    assert same_state(quiet.networks, busy.networks)
    assert same_state(quiet.training["loop"], busy.training["loop"])
