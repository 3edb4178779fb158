"""Runs on mixtures that are rendered on the fly: what they saw, what they depend on, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fake_data import config
from fake_mixtures import FRONTEND, MIX, STREAM, make_sounds
from training_runs import records, same_state

from sedkit.cli.main import main
from sedkit.core.config import read_config
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import read_json, write_json, write_yaml
from sedkit.models.checkpoint import read_checkpoint
from sedkit.objectives.base import Context
from sedkit.training.checking import check_config
from sedkit.training.experiment import Experiment
from sedkit.training.inputs import inputs_of
from sedkit.training.plan import Plan, make_plan

LAST = {"name": "last"}
SELECT = {"mixed": STREAM | {"folds": ["3-select"]}}


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sounds(tmp_path_factory.mktemp("mixed"))


def write(folder: Path, select: dict[str, Any] | None = None, **changes: Any) -> Path:
    data = {"streams": {"mixed": dict(STREAM)}, "select": SELECT if select is None else select}
    write_yaml(folder / "c.yaml", config(data=data, mix=MIX, frontend=FRONTEND.as_dict()) | changes)
    return folder / "c.yaml"


def plan(root: Path, folder: Path, *overrides: str, **changes: Any) -> Plan:
    return make_plan(write(folder, **changes), list(overrides), root, folder / "exp")


@pytest.mark.parametrize("selection", ["best", "last"])
def test_a_resumed_run_goes_on_exactly(sounds: Path, tmp_path: Path, selection: str) -> None:
    """Ten mixtures a round: the 12 steps of 4 see five rounds. With and without a part to select on."""
    select = SELECT if selection == "best" else {}

    def experiment(name: str) -> Experiment:
        path = write(tmp_path, select, selection={"name": selection})
        (tmp_path / name).mkdir(exist_ok=True)
        made = make_plan(path, [], sounds, tmp_path / name)
        made.check()
        return Experiment(made)

    whole, stopped = experiment("whole"), experiment("stopped")
    whole.run(resume=True)
    original = stopped.objective.after_step

    def after_step(context: Context) -> None:
        original(context)
        if context.step == 8:
            raise KeyboardInterrupt

    stopped.objective.after_step = after_step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.run(resume=True)
    again = experiment("stopped")
    again.run(resume=True)
    assert again.resumed
    assert same_state(whole.network.state_dict(), again.network.state_dict())
    assert records(tmp_path / "stopped") == records(tmp_path / "whole")
    best = read_checkpoint(tmp_path / "whole/checkpoints/best.pt")
    assert best.config["mix"]["placement"] == "slots"
    summary = read_json(tmp_path / "whole/summary.json")
    if selection == "last":
        assert (best.step, summary["best_step"]) == (12, 12)
        assert same_state(best.networks["network"], whole.network.state_dict())
    else:
        assert records(tmp_path / "whole")[-1]["select"]["network"]["mixed"].keys() == {"loss", "clip_map"}


def test_what_a_run_saw_and_depends_on(sounds: Path, tmp_path: Path) -> None:
    made = plan(sounds, tmp_path)
    assert made.saw() == {
        "trained": [["verified", "1"], ["verified", "2"], ["scenes", "1"], ["scenes", "2"]],
        "selected": [["verified", "3-select"], ["scenes", "3-select"]],
    }
    assert set(inputs_of(made)) == {
        *(f"events/verified/{name}" for name in ("clips.tsv", "labels.txt", "weak.tsv", "recordings")),
        *(f"scenes/{name}" for name in ("clips.tsv", "labels.txt", "recordings")),
    }
    with pytest.raises(UsageError, match=r"data\.streams\.mixed\.folds: events/verified has .* to be named"):
        plan(sounds, tmp_path, "data.streams.mixed.folds=null").saw()
    everything = Plan(read_config(write(tmp_path), ["training.train_on=all"]), sounds, tmp_path / "exp")
    assert everything.saw() == {"trained": [["verified", None], ["scenes", None]], "selected": []}
    assert len(Experiment(everything).streams["mixed"]) == 15


def test_changed_recordings_and_settings_are_noticed(tmp_path: Path) -> None:
    root = make_sounds(tmp_path / "data")
    keys = [plan(root, tmp_path).key]
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert plan(root, tmp_path).key == keys[0]
    # What is said already changes nothing.
    assert plan(root, tmp_path, "mix.placement=slots", "mix.snr_db=0").key == keys[0]
    for override in ("mix.snr_db=10", "mix.seed=8", "mix.placement=uniform"):
        keys.append(plan(root, tmp_path, override).key)
    for recording in (root / "events/verified.wavs/e00.wav", root / "scenes.wavs/s00.wav"):
        content = recording.read_bytes()
        recording.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        keys.append(plan(root, tmp_path).key)
    assert len(set(keys)) == 6


def test_mixtures_on_disk_are_not_the_business_of_other_streams(data_root: Path, tmp_path: Path) -> None:
    """The section `mix` is for `sedkit mix plan` where no stream is of mixtures."""
    path = tmp_path / "c.yaml"
    write_yaml(path, config(mix=MIX))
    keys = {make_plan(path, more, data_root, tmp_path / "exp").key for more in ([], ["mix.snr_db=10"])}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["mix=null"], "data.streams.mixed.source is mixtures, but the configuration has no section 'mix'"),
        (["mix.placemnt=uniform"], "mix: unknown key 'placemnt'.*did you mean"),
        (["mix.sample_rate=16000"], "mix.sample_rate is 16000, expected that of the front end, 8000"),
        (["mix.assignment=published"], "mix.assignment is published, which puts scenes of a place into every fold"),
        (["data.streams.mixed.set=events/other"], "mixed.set is events/other, expected mix.events, events/verified"),
        (["data.streams.mixed.labels.source=tags.tsv"], "mixed.labels.source: mixtures have their labels from"),
        (["data.streams.mixed.labels.others=false"], "mixed.labels.others: mixtures have their labels from"),
        (["data.streams.mixed.window={length_s: 1.0, silence_db: 60}"], "mixed.window.silence_db: mixtures have"),
        (["data.select.mixed.set=events/other"], "data.select.mixed.set is events/other, expected mix.events"),
        (["data.streams.mixed.source=mixture"], "data.streams.mixed: .*source"),
    ],
)
def test_what_mixtures_cannot_have_is_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    path = write(tmp_path)
    check_config(path, [])
    with pytest.raises(UsageError, match=message):
        check_config(path, overrides)


def test_held_out_and_reported_sounds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_sounds(tmp_path / "data")
    plan(root, tmp_path).check()
    for name in ("events/verified", "scenes"):
        facts = root / name / "set.json"
        for role in ("reported", "entered"):
            write_json(facts, {"dataset": "sounds", "set": name, "role": role})
            with pytest.raises(UsageError, match=f"data.streams.mixed: sounds/{name} is {role}: nothing is trained"):
                plan(root, tmp_path).check()
        facts.unlink()
    for name in ("events/verified", "scenes"):
        table = root / name / "clips.tsv"
        table.write_text(table.read_text().replace("3-select", "select"))
    plan(root, tmp_path, "data.select.mixed.folds=[select]").check()
    with pytest.raises(UsageError, match=r"data.streams.mixed.folds: select is held out of training"):
        plan(root, tmp_path, 'data.streams.mixed.folds=["1", select]').check()
    call = ["train", "--config", str(write(tmp_path)), "--data", str(root), "--exp", str(tmp_path / "exp")]
    assert main([*call, 'data.select.mixed.folds=["2"]']) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    # Eight events and four scenes.
    assert "data.select.mixed holds 12 clips of data.streams.mixed" in said
    assert main([*call, 'data.select.mixed.folds=["4"]']) == 1
    assert "no fold '4'" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["features", "mixtures"])
def test_nothing_to_select_on_needs_the_last_step(data_root: Path, sounds: Path, tmp_path: Path, source: str) -> None:
    if source == "mixtures":
        root, path = sounds, write(tmp_path, {})
    else:
        root, path = data_root, tmp_path / "c.yaml"
        write_yaml(path, config(data={"streams": {"weak": {"set": "weak"}}}))
    with pytest.raises(UsageError, match=r"data\.select is empty, expected .*selection\.name: last"):
        make_plan(path, [], root, tmp_path / "exp").check()
    call = ["train", "--config", str(path), "--data", str(root), "--exp", str(tmp_path / "exp")]
    short = ["training.steps=3", "training.eval_every=2", "selection.name=last"]
    assert main([*call, *short]) == 0
    best, last = (read_checkpoint(tmp_path / f"exp/checkpoints/{name}.pt") for name in ("best", "last"))
    assert best.step == last.step == 3 and same_state(best.networks, last.networks)
    assert [row["step"] for row in records(tmp_path / "exp")] == [2, 3]
    with pytest.raises(UsageError, match="selection.figures: data.select has no 'weak'"):
        make_plan(path, ["selection.name=last", "selection.figures={weak: clip_map}"], root, tmp_path / "exp")


def test_unfit_sounds_are_told_in_one_line(tmp_path: Path) -> None:
    root = make_sounds(tmp_path / "data")
    made = plan(root, tmp_path)
    (root / "scenes.wavs/s00.wav").unlink()
    with pytest.raises(SedkitError, match=r"scenes/clips.tsv:2: .*s00.wav is not there"):
        Experiment(made)
