"""Packing the scores of an ensemble: what its members say together, and how its scores became events."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from submission_systems import LABELS, experiment, measured, results, run, scores, written

from sedkit.core.files import read_yaml, write_yaml
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores
from sedkit.models.complexity import Complexity
from sedkit.postprocessing import FrameRule, Postprocessing
from sedkit.postprocessing.fuse import fuse


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    return [experiment(tmp_path / f"exp{i}", seed=i, set_name="evaluation") for i in range(2)]


@pytest.fixture
def pack_fused(tmp_path: Path, authors: Path, members: list[Path]) -> Callable[..., int]:
    """Fuses the members' scores with weights and packs them."""

    def pack(name: str, *words: object, weights: tuple[float, float] | None = None, file: str = "fused") -> int:
        parts = [read_scores(member / "scores" / "evaluation.h5") for member in members]
        write_scores(tmp_path / f"{file}.h5", fuse(parts, weights))
        given = ("--scores", tmp_path / f"{file}.h5", "--experiment", *members, "--authors", authors)
        return run("pack", "--format", name, *given, "--out", tmp_path / "out", *words)

    return pack


def change(exp: Path, **sections: object) -> None:
    write_yaml(exp / "config.yaml", read_yaml(exp / "config.yaml") | sections)


def test_an_ensemble_counts_its_members(
    tmp_path: Path, pack_fused: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([Complexity(100, 1000), Complexity(23, 500)])
    monkeypatch.setattr("sedkit.submission.pack.meta.complexity_of", lambda experiment: next(sizes))
    (tmp_path / "results.json").write_text(json.dumps(results(f1=0.5)))
    words = ("--results", tmp_path / "results.json")
    assert pack_fused("dcase2019", *words) == 2, "event formats need rules to decode with"
    assert pack_fused("dcase2019", *words, "--postprocessing", "0.5") == 0
    meta = written(tmp_path / "out")
    assert meta["system"]["complexity"]["total_parameters"] == 123
    assert meta["system"]["description"]["ensemble_method_subsystem_count"] == 2
    assert meta["results"]["development_dataset"]["overall"]["F-score"] == 50.0
    assert meta["submission"]["name"] == "fused"


@pytest.mark.parametrize(
    ("post", "segmentation", "words"),
    [
        (FrameRule(threshold=0.4), "threshold", None),
        (FrameRule(threshold=0.4, median_s=0.5, min_duration_s=0.3), "threshold", "median filtering (500 ms), removal"),
        ("csebbs", "change-detection-based bounding boxes", None),
        ("published", "double threshold", "merging of near events, removal of short events"),
        ("0.5", "threshold", None),
    ],
)
def test_the_rules_that_were_given_are_described(
    post: FrameRule | str, segmentation: str, words: str | None, tmp_path: Path, pack_fused: Callable[..., int]
) -> None:
    if isinstance(post, FrameRule):
        Postprocessing.uniform(LABELS, post).write(tmp_path / "post.yaml")
    pack_fused("dcase2019", "--postprocessing", tmp_path / "post.yaml" if isinstance(post, FrameRule) else post)
    description = written(tmp_path / "out")["system"]["description"]
    # The members' own have a second threshold and a filter of 2.5 s.
    assert description["segmentation_method"] == segmentation
    assert (description["post-processing"] or "").startswith(words or "")
    assert bool(description["post-processing"]) == bool(words)


def test_scores_are_handed_in_without_what_only_events_go_through(
    tmp_path: Path, authors: Path, members: list[Path], pack_fused: Callable[..., int]
) -> None:
    words = ("--authors", authors, "--out", tmp_path / "single")
    run("pack", "--format", "dcase2023", "--experiment", members[0], *words)
    description = written(tmp_path / "single")["system"]["description"]
    assert description["post-processing"] == "median filtering (2500 ms)"
    assert description["segmentation_method"] is None, "no threshold touched the scores"
    pack_fused("dcase2023")
    description = written(tmp_path / "out")["system"]["description"]
    assert description["post-processing"] is None, "what the fused scores went through is not known"


def test_what_differs_between_members_is_listed(
    tmp_path: Path, members: list[Path], pack_fused: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    external = [{"name": "AudioSet"}]
    change(
        members[0],
        submission={"name": "First", "abbreviation": "FST", "description": {"external_data_usage": "AudioSet"}},
    )
    change(
        members[1],
        frontend={"name": "logmel", "sample_rate": 16000, "spectrum": "power", "log": "db"},
        model={"name": "crnn"},
        data={"streams": {"weak": {"augment": {"mixup": {}, "gain": {}}, "views": {"teacher": {"mixup": {}}}}}},
        submission={"external_datasets": external, "description": {"segmentation_method": "watershed"}},
    )
    pack_fused("dcase2019", "--postprocessing", "0.5")
    meta = written(tmp_path / "out")
    description = meta["system"]["description"]
    assert description["acoustic_features"] == ["log-mel amplitude", "log-mel energies"]
    assert description["machine_learning_method"] == "cnn9_avg, crnn"
    assert description["input_sampling_rate"] == 44.1
    assert description["data_augmentation"] == "mixup, level"
    assert description["external_data_usage"] == "AudioSet"
    assert description["segmentation_method"] == "threshold", "a member's own is not the ensemble's"
    assert meta["system"]["external_datasets"] == external
    assert meta["submission"]["name"] == "fused", "the ensemble is not its first member"
    assert "sampling rates differ (16, 44.1 kHz): the highest is stated" in capsys.readouterr().err


def test_weights_are_those_of_the_fused_scores(
    tmp_path: Path, members: list[Path], pack_fused: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def decision(**options: object) -> str | None:
        pack_fused("dcase2019", "--postprocessing", "0.5", **options)
        return written(tmp_path / "out")["system"]["description"]["decision_making"]

    assert decision() == "mean of scores"
    assert decision(weights=(3, 1)) == "weighted mean of scores (0.75, 0.25)"
    # Told by their checkpoints, the weights stand in the order of --experiment.
    for member in members:
        (member / "checkpoints").mkdir()
        (member / "checkpoints" / "last.pt").write_bytes(member.name.encode())
        own = read_scores(member / "scores" / "evaluation.h5")
        own.producer = f"sha256:{hashlib.sha256(member.name.encode()).hexdigest()}"
        write_scores(member / "scores" / "evaluation.h5", own)
    assert decision(weights=(3, 1)) == "weighted mean of scores (0.75, 0.25)"
    parts = [read_scores(member / "scores" / "evaluation.h5") for member in members]
    capsys.readouterr()
    for fused, expected in (
        (fuse(parts[::-1], (3, 1)), "weighted mean of scores (0.25, 0.75)"),
        (scores(6), None),
    ):
        write_scores(tmp_path / "f.h5", fused)
        words = ("--scores", tmp_path / "f.h5", "--experiment", *members, "--postprocessing", "0.5")
        words = (*words, "--authors", tmp_path / "authors.yaml", "--out", tmp_path / "out")
        run("pack", "--format", "dcase2019", *words)
        assert written(tmp_path / "out")["system"]["description"]["decision_making"] == expected
        said = capsys.readouterr().err
        assert "none of its checkpoints" not in said and "--experiment names 2" not in said
        assert ("cannot be told: the scores do not name the checkpoints" in said) == (expected is None)
    (members[1] / "checkpoints" / "last.pt").write_bytes(b"another network")
    decision()
    assert f"{members[1]}: {tmp_path / 'fused.h5'} was made by none of its checkpoints" in capsys.readouterr().err


def test_scores_are_compared_with_the_experiments_named(
    tmp_path: Path,
    members: list[Path],
    capsys: pytest.CaptureFixture[str],
    bare: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members.append(experiment(tmp_path / "exp2", seed=2, set_name="evaluation"))
    parts = []
    for i, member in enumerate(members):
        (member / "checkpoints").mkdir()
        (member / "checkpoints" / "best.pt").write_bytes(member.name.encode())
        parts.append(scores(i))
        parts[-1].producer = f"sha256:{hashlib.sha256(member.name.encode()).hexdigest()}, post-processed"
    monkeypatch.setattr("sedkit.submission.pack.meta.complexity_of", lambda experiment: Complexity(10, 20))

    def said(made: Scores, *named: Path) -> tuple[bool, str, object]:
        write_scores(tmp_path / "f.h5", made)
        words = ("--scores", tmp_path / "f.h5", "--postprocessing", "0.5", "--experiment", *named)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        status = run("pack", "--format", "dcase2019", *words, *bare)
        about = [line for line in capsys.readouterr().err.splitlines() if "--experiment" in line or "none of" in line]
        assert len(about) <= 1
        count = written(tmp_path / "out")["system"]["description"] if status != 2 else {}
        return status == 2, "".join(about), count.get("ensemble_method_subsystem_count")

    a, b, c = members
    assert said(parts[0], a) == (False, "", None)
    assert said(fuse(parts[:2]), a, b) == (False, "", 2)
    assert said(fuse([fuse(parts[:2]), parts[2]]), a, b, c) == (False, "", 3)
    status, line, _ = said(fuse(parts[:2]), a)
    assert status and "an ensemble of 2, but --experiment names 1: 1 missing" in line
    status, line, _ = said(fuse([fuse(parts[:2]), parts[2]]), a, b)
    assert status and "an ensemble of 3, but --experiment names 2: 1 missing" in line
    assert f"warning: {a}: {tmp_path / 'f.h5'} was made by none of its checkpoints" == said(parts[1], a)[1]
    status, line, count = said(parts[0], a, b)
    assert (status, count) == (False, None) and "not an ensemble, but --experiment names 2" in line
    parts[0].producer = "net.h5"
    status, line, count = said(parts[0], a)
    assert not status and "whether --experiment names what made the scores cannot be told" in line


def test_more_members_named_than_fused(
    tmp_path: Path, members: list[Path], capsys: pytest.CaptureFixture[str], authors: Path
) -> None:
    more = experiment(tmp_path / "exp2", seed=2)
    members.append(more)
    parts = [scores(i) for i in range(2)]
    write_scores(tmp_path / "f.h5", fuse(parts))
    words = ("--scores", tmp_path / "f.h5", "--experiment", *members, "--postprocessing", "0.5")
    run("pack", "--format", "dcase2019", *words, "--authors", authors, "--out", tmp_path / "out")
    assert (
        "an ensemble of 2, but --experiment names 3: size and energy are summed over all 3" in capsys.readouterr().err
    )
    assert written(tmp_path / "out")["system"]["description"]["ensemble_method_subsystem_count"] == 2


def test_an_ensemble_of_more_than_is_named(
    tmp_path: Path, members: list[Path], capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    write_scores(tmp_path / "f.h5", fuse([scores(i) for i in range(3)]))
    words = ("--scores", tmp_path / "f.h5", "--experiment", *members, "--postprocessing", "0.5")
    assert run("pack", "--format", "dcase2019", *words, *bare) == 2, "sizes would be too small"
    assert "an ensemble of 3, but --experiment names 2: 1 missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    words = ("--scores", tmp_path / "f.h5", "--experiment", members[0], members[0], "--postprocessing", "0.5")
    assert run("pack", "--format", "dcase2019", *words, *bare) == 2
    assert "is given twice" in capsys.readouterr().err


def test_the_set_of_fused_scores_can_be_named(
    tmp_path: Path, members: list[Path], pack_fused: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for member in members:
        measured(member, "training", "validation", "evaluation")

    def energy(*words: object, **options: object) -> float | None:
        pack_fused("dcase2023", *words, **options)
        return written(tmp_path / "out")["system"]["complexity"]["energy"]["evaluation_inference"]

    assert energy(file="evaluation") == 0.6
    capsys.readouterr()
    assert energy() is None
    assert "fused is no set; give --set" in capsys.readouterr().err
    assert energy("--set", "evaluation") == 0.6
    assert "give --set" not in capsys.readouterr().err
    folder = next((tmp_path / "out").glob("*/codecarbon"))
    assert sorted(p.name for p in folder.iterdir()) == [
        f"member{i}_{stage}.csv" for i in (1, 2) for stage in ("evaluation", "training", "validation")
    ]
    assert pack_fused("dcase2023", "--set", "evaluaton") == 2
    assert 'no member predicted it (did you mean "evaluation"?)' in capsys.readouterr().err
    assert pack_fused("dcase2019", "--set", "evaluation", "--postprocessing", "0.5") == 2
    assert "the set whose energy is stated; dcase2019 asks for none" in capsys.readouterr().err
