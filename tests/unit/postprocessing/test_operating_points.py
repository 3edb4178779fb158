"""Folders of operating points, and scores after post-processing."""

from __future__ import annotations

import numpy as np
import pytest
from slow_decoder import as_set, make_scores

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.score_tsvs import write_score_tsvs
from sedkit.dataio.store import read_scores, write_scores
from sedkit.dataio.tables import read_events
from sedkit.postprocessing import BoxRule, FrameRule, Postprocessing, SlopeRule, decode, decode_thresholds
from sedkit.postprocessing.operating_points import even_thresholds, parse_thresholds
from sedkit.postprocessing.processed import processed_scores


def random_scores(seed=0, clips=5, frames=60, classes=3, **kwargs):
    x = np.random.default_rng(seed).standard_normal((clips, frames + 6, classes))
    x = sum(x[:, k : k + frames] for k in range(6)) / 6
    return make_scores(1 / (1 + np.exp(-5 * x)), rate_hz=1 / 0.064, **kwargs)


def test_a_folder_holds_the_events_of_every_threshold(tmp_path):
    scores = random_scores()
    rules = Postprocessing.uniform(scores.labels, FrameRule(0.5, median_s=0.2))
    points = decode_thresholds(scores, even_thresholds(5), rules)
    points.write(tmp_path / "points")
    names = sorted(path.name for path in (tmp_path / "points").iterdir())
    assert names == [f"predictions_th_{t}.tsv" for t in ("0.10", "0.30", "0.50", "0.70", "0.90")]
    for name, events in zip(names, points, strict=True):
        decoded, findings = read_events(tmp_path / "points" / name, scores.labels)
        assert not findings
        assert as_set(decoded.keep_clips(scores.filenames)) == as_set(events)
    first = (tmp_path / "points" / names[0]).read_bytes().split(b"\n")
    assert first[0] == b"filename\tonset\toffset\tevent_label"
    assert first[1].split(b"\t")[0] == b"0.wav"
    assert {len(line.split(b"\t")) for line in first[:-1]} == {4}


def test_the_challenges_thresholds_and_their_names():
    thresholds = even_thresholds()
    assert len(thresholds) == 50
    assert (thresholds[0], thresholds[6], thresholds[-1]) == (0.01, 0.13, 0.99)
    assert parse_thresholds("50").tolist() == thresholds.tolist()
    assert parse_thresholds("0.9,0.125").tolist() == [0.125, 0.9]
    assert parse_thresholds("0.5").tolist() == [0.5]
    for wrong in ("0", "abc", "0.1,0.1", "0.1,nan", ""):
        with pytest.raises(UsageError, match="--operating-points"):
            parse_thresholds(wrong)


EVERY_RULE = {
    "gate and median": (FrameRule(0.5, median_s=0.32, clip_threshold=0.6), "threshold"),
    "low": (FrameRule(0.5, low=0.3), "threshold"),
    "low of 0": (FrameRule(0.5, low=0.0), "threshold"),
    "gap": (FrameRule(0.5, merge_gap_s=0.2), "threshold"),
    "duration": (FrameRule(0.5, min_duration_s=0.2), "threshold"),
    "all": (FrameRule(0.5, 0.2, 0.3, 0.1, 0.13, 0.2, 0.2, 0.2), "threshold"),
    "published": (FrameRule(0.5, low=0.3, merge_gap_s=0.07, min_duration_s=0.2), "published"),
    "longer than a clip": (FrameRule(0.5, merge_gap_s=60.0, min_duration_s=3.0), "threshold"),
    "boxes": (BoxRule(0.5, step_s=0.48, merge_abs=0.2, clip_threshold=0.4), "csebbs"),
}


@pytest.mark.parametrize(("rule", "decoder"), EVERY_RULE.values(), ids=EVERY_RULE)
@pytest.mark.parametrize("kind", ["h5", "tsv"])
def test_processed_scores_hold_the_events_of_every_threshold(rule, decoder, kind, tmp_path):
    clipwise = np.random.default_rng(3).random((5, 3))
    scores = random_scores(clipwise=clipwise, n_frames=[60, 60, 31, 1, 44])
    rules = Postprocessing.uniform(scores.labels, rule, decoder)
    processed = processed_scores(scores, rules)
    path = tmp_path / "processed"
    (write_scores if kind == "h5" else write_score_tsvs)(path, processed)
    written = read_scores(path)
    for threshold in (0.05, 0.3, 0.5, 0.77):
        expected = decode_thresholds(scores, [threshold], postprocessing=rules).events(0)
        for one in (processed, written):
            decoded = decode(one, Postprocessing.uniform(scores.labels, FrameRule(threshold)))
            # Times of tables have ten digits.
            assert rounded(decoded) == rounded(expected)
    found = decode(processed, Postprocessing.uniform(scores.labels, FrameRule(0.5)))
    assert as_set(found) == as_set(decode(scores, rules)) != set()


def rounded(events):
    return {(clip, label, round(onset, 8), round(offset, 8)) for clip, label, onset, offset in as_set(events)}


def test_what_no_scores_can_express_is_refused():
    scores = random_scores()
    rules = Postprocessing.uniform(scores.labels, SlopeRule(0.5, slope_s=0.3), "derivative")
    with pytest.raises(SedkitError, match="no scores hold the events of the decoder derivative"):
        processed_scores(scores, rules)
