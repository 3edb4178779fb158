"""`sedkit mix` as it is called."""

import pytest
import yaml

from sedkit.cli.main import main
from sedkit.dataio.datadir import DataDir
from tests.unit.synthesis.mix_case import events_dir, scenes_dir

CONFIG = """\
recipe: mixtures
mix:
  {events: events, scenes: scenes, mixtures: 2, length_s: 2.0, sample_rate: 8000, longest_s: 0.4, onsets: [0, 0.6, 1]}
"""


@pytest.fixture
def folder(tmp_path):
    events_dir(tmp_path / "events")
    scenes_dir(tmp_path / "scenes")
    (tmp_path / "conf.yaml").write_text(CONFIG)
    return tmp_path


def plan(folder, *words):
    call = ["mix", "plan", "--config", f"{folder}/conf.yaml", "--data", f"{folder}", "--out", f"{folder}/plan.yaml"]
    return main([*call, *words])


def test_plan_edit_and_render(folder, capsys):
    assert plan(folder) == 0
    path = folder / "plan.yaml"
    first = path.read_text()
    assert plan(folder) == 0
    assert "up to date" in capsys.readouterr().err
    assert main(["mix", "render", f"{path}", "--out", f"{folder}/snr0", "--jobs", "1"]) == 0
    assert len(DataDir(folder / "snr0").clips) == 8
    assert main(["mix", "render", f"{path}", "--out", f"{folder}/snr0", "--jobs", "1"]) == 0
    assert "up to date" in capsys.readouterr().err
    # An edited plan stays, and is what is rendered.
    raw = yaml.safe_load(first)
    raw["mixtures"] = raw["mixtures"][:1]
    path.write_text(yaml.safe_dump(raw))
    assert plan(folder) == 0
    assert "was edited and stays as it is" in capsys.readouterr().err
    assert main(["mix", "render", f"{path}", "--out", f"{folder}/snr10", "--snr", "10", "--stems", "false"]) == 0
    assert len(DataDir(folder / "snr10").clips) == 1
    assert not (folder / "snr10.stems").exists()
    # It is not lost to another configuration unless that is asked for.
    assert plan(folder, "mix.seed=5") == 2
    assert "plan.yaml: is another plan that was edited" in capsys.readouterr().err
    assert plan(folder, "--force", "true") == 0
    assert path.read_text() == first
    assert plan(folder, "mix.seed=5") == 0
    assert path.read_text() != first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "--out", "p.yaml"], "mix plan: needs --config"),
        (["render", "p.yaml"], "mix render: needs --out"),
        (["render", "--out", "x"], "got 0 plans"),
        (["render", "p.yaml", "--out", "x", "--data", "d"], "mix render: takes no --data"),
        (["render", "p.yaml", "--out", "x"], "p.yaml: no such file"),
        (["render", "p.yaml", "--out", "x", "--snr", "loud"], "'loud', expected a number"),
        (["plan", "--config", "c", "--data", "d", "--out", "p", "--snr", "3"], "mix plan: takes no --snr"),
        (["play"], "invalid choice: 'play'"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    assert main(["mix", *words]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_wrong_configuration_is_told_with_its_file(folder, capsys):
    (folder / "conf.yaml").write_text(CONFIG.replace("mixtures: 2,", "mixtures: 0,"))
    assert plan(folder) == 2
    assert f"{folder}/conf.yaml: mix: mixtures is 0" in capsys.readouterr().err
    (folder / "conf.yaml").write_text(CONFIG.replace("scenes: scenes", "scenes: places"))
    assert plan(folder) == 1
    assert "places: not a data dir" in capsys.readouterr().err
    (folder / "conf.yaml").write_text("recipe: mixtures\n")
    assert plan(folder) == 2
    assert "mix: key 'events' is missing" in capsys.readouterr().err


def test_a_budget_plans_as_many_as_it_says(folder, capsys):
    config = f"{CONFIG}budgets:\n  quick: {{mix.mixtures: 1}}\n  none: {{mix.mixtures: 0}}\n"
    (folder / "conf.yaml").write_text(config)
    for words, count in ((["--budget", "quick"], 4), (["--budget", "quick", "mix.mixtures=3", "--force", "true"], 12)):
        assert plan(folder, *words) == 0
        assert len(yaml.safe_load((folder / "plan.yaml").read_text())["mixtures"]) == count
    capsys.readouterr()
    assert plan(folder, "--budget", "none") == 2
    assert f"{folder}/conf.yaml: budgets.none: mix: mixtures is 0" in capsys.readouterr().err
    assert plan(folder, "--budget", "quik") == 2
    assert "conf.yaml: unknown budget 'quik' (did you mean \"quick\"" in capsys.readouterr().err
    assert main(["mix", "render", f"{folder}/plan.yaml", "--out", f"{folder}/x", "--budget", "quick"]) == 2
    assert "mix render: takes no --budget" in capsys.readouterr().err
