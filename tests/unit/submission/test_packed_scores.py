"""What is packed of an experiment is what `decode --scores-out` writes of it, for every rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from submission_systems import LABELS, experiment, run

from sedkit.postprocessing import PRESETS, BoxRule, FrameRule, Postprocessing

EVERY_RULE = {
    "median": (FrameRule(0.5, median_s=2.5), "threshold"),
    "averages": (FrameRule(0.5, rescale_trim_s=0.5, mean_s=1.5), "threshold"),
    "gate": (FrameRule(0.5, clip_threshold=0.97), "threshold"),
    "low": (FrameRule(0.5, low=0.3), "threshold"),
    "gap": (FrameRule(0.5, merge_gap_s=1.0), "threshold"),
    "duration": (FrameRule(0.5, min_duration_s=1.5), "threshold"),
    "boxes": (BoxRule(0.5, step_s=1.5, merge_abs=0.2, clip_threshold=0.9), "csebbs"),
    "published": (PRESETS["published"].rule, "published"),
}


@pytest.mark.parametrize(("rule", "decoder"), EVERY_RULE.values(), ids=EVERY_RULE)
def test_pack_writes_the_scores_that_decode_writes(
    rule: FrameRule | BoxRule, decoder: str, tmp_path: Path, bare: tuple[object, ...]
) -> None:
    exp = experiment(tmp_path / "exp", set_name="evaluation")
    Postprocessing.uniform(LABELS, rule, decoder).write(exp / "postprocessing.yaml")
    assert run("pack", "--format", "dcase2023", "--experiment", exp, *bare) in (0, 1)
    given = ("--postprocessing", exp / "postprocessing.yaml", "--scores-out", tmp_path / "decoded")
    assert run("decode", exp / "scores" / "evaluation.h5", *given) == 0
    (packed,) = (tmp_path / "out").glob("*/*_run1.output")
    tables = {path.name: path.read_bytes() for path in (tmp_path / "decoded").iterdir() if path.suffix == ".tsv"}
    assert tables == {path.name: path.read_bytes() for path in packed.iterdir()}
    (raw,) = (tmp_path / "out").glob("*/*_run1_unprocessed.output")
    assert tables != {path.name: path.read_bytes() for path in raw.iterdir()}


def test_pack_and_decode_refuse_alike_what_no_scores_can_express(
    tmp_path: Path, bare: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    exp = experiment(tmp_path / "exp", set_name="evaluation")
    PRESETS["mil_derivative"].over(LABELS).write(exp / "postprocessing.yaml")
    given, said = ("--postprocessing", exp / "postprocessing.yaml"), []
    for words in (
        ("pack", "--format", "dcase2023", "--experiment", exp, *bare),
        ("decode", exp / "scores" / "evaluation.h5", "--scores-out", tmp_path / "decoded", *given),
    ):
        assert run(*words) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        said.append(line.partition(": error: ")[2])
    assert said[0] == said[1]
    assert said[0].startswith(f"{exp / 'postprocessing.yaml'}: no scores hold the events of the decoder derivative")
