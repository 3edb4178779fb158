"""The rule files: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import pytest

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.postprocessing import PRESETS, PUBLISHED, BoxRule, FrameRule, Postprocessing, read_postprocessing

RULES = Postprocessing(
    labels=("Speech", "Cat"),
    rules=(FrameRule(0.4, low=0.2, median_s=0.45), FrameRule(0.6, clip_threshold=0.3, min_duration_s=0.25)),
    tuned_on={"path": "x.tsv", "sha256": "0", "clips": 3},
    objective="event",
    value=0.5,
    cross_validated=0.4,
    grid={"threshold": [0.4, 0.6]},
)


def test_a_file_brings_back_what_was_written(tmp_path):
    RULES.write(tmp_path / "post.yaml")
    rules = Postprocessing.read(tmp_path / "post.yaml")
    assert rules.rules == RULES.rules
    assert rules.as_dict() == RULES.as_dict()


def test_boxes_too(tmp_path):
    rules = Postprocessing.uniform(["Cat"], BoxRule(0.3, step_s=0.32, merge_rel=2.0), "csebbs")
    rules.write(tmp_path / "post.yaml")
    assert Postprocessing.read(tmp_path / "post.yaml").rules == rules.rules


def test_rules_follow_the_order_of_the_scores():
    assert RULES.over(["Cat", "Speech"]).rules == RULES.rules[::-1]
    with pytest.raises(SedkitError, match=r"no rule for: Dog; no scores for: Cat"):
        RULES.over(["Dog", "Speech"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decoder: threshold\nclasses: {Cat: {threshold: 0.5, medain_s: 1}}", "Cat: unknown key 'medain_s'.*median_s"),
        ("decoder: threshold\nclasses: {Cat: {median_s: 1}}", "Cat: key 'threshold' is missing"),
        ("decoder: threshold\nclasses: {Cat: {threshold: high}}", "Cat: key 'threshold': Expected a float. Got.*high"),
        ("decoder: threshold\nclasses: {Cat: {threshold: .nan}}", "Cat: threshold is nan, expected a number"),
        ("decoder: threshold\nclasses: {Cat: {threshold: 0.5, low: 0.6}}", "Cat: low is 0.6, expected at most"),
        ("decoder: threshold\nclasses: {Cat: {threshold: 0.5, median_s: -1}}", "Cat: median_s is -1, expected seconds"),
        ("decoder: treshold\nclasses: {Cat: {threshold: 0.5}}", "decoder is 'treshold'.*did you mean \"threshold\""),
        ("decoder: csebbs\nclasses: {Cat: {threshold: 0.5}}", "neither merge_abs nor merge_rel"),
        ("decoder: csebbs\nclasses: {Cat: {threshold: 0.5, median_s: 1}}", "unknown key 'median_s'"),
        ("classes: {Cat: {threshold: 0.5}}", "key 'decoder' is missing"),
        ("decoder: threshold\nclasses: [Cat]", "key 'classes': Expected a dict. Got"),
        ("decoder: threshold\nlabels: [Dog]\nclasses: {Cat: {threshold: 0.5}}", "labels are Dog, but classes"),
        ("just words", "expected a mapping"),
        ("decoder: {", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_named_with_class_and_key(tmp_path, text, message):
    path = tmp_path / "post.yaml"
    path.write_text(text)
    with pytest.raises(SedkitError, match=message) as caught:
        Postprocessing.read(path)
    assert str(path) in str(caught.value)


def test_words_of_the_command_line(tmp_path):
    assert read_postprocessing("0.3", ["Cat"]).rules == (FrameRule(0.3),)
    assert read_postprocessing("published", ["Cat"]).rules == (PUBLISHED.rule,)
    RULES.write(tmp_path / "post.yaml")
    assert read_postprocessing(str(tmp_path / "post.yaml"), RULES.labels).rules == RULES.rules
    with pytest.raises(UsageError, match='did you mean "published"'):
        read_postprocessing("publishd", ["Cat"])


def test_the_published_rule_of_system_002():
    assert PUBLISHED.rule == FrameRule(0.9, clip_threshold=0.9, low=0.5, merge_gap_s=16 / 64, min_duration_s=16 / 64)


def test_every_preset_serves_the_ten_classes():
    """That of 2024 its 27, the ten among them."""
    more = tuple(label for label in PRESETS["baseline2024"].by_label if label not in DESED_CLASSES.labels)
    for name, preset in PRESETS.items():
        labels = DESED_CLASSES.labels + more * (name == "baseline2024")
        assert preset.over(labels).decoder == preset.decoder
    assert len(more) == 17 and PRESETS["baseline2024"].by_label["metro approaching"].median_s == 13 * 0.064
    with pytest.raises(SedkitError, match="made for other classes"):
        PRESETS["fdy_crnn"].over(["Cat"])
