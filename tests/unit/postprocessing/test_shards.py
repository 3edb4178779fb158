"""Decoding a shard of clips at a time, as many processes do: to what the whole is decoded to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from slow_decoder import as_set, make_scores
from test_operating_points import EVERY_RULE, random_scores

from sedkit.dataio.events import Tags
from sedkit.postprocessing import Postprocessing, SlopeRule, decode, decode_thresholds, processed_scores, shards
from sedkit.postprocessing.shards import decode_shards, decode_thresholds_shards, processed_scores_shards

RULES = {**EVERY_RULE, "slopes": (SlopeRule(0.02, slope_s=0.2), "derivative")}


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Shards of two clips, here; how many there were."""
    ran: list[int] = []

    def run_jobs(function, items, jobs, _):
        ran.append(len(items))
        return [function(item) for item in items]

    monkeypatch.setattr(shards, "_SHARD_CLIPS", 2)
    monkeypatch.setattr(shards, "run_jobs", run_jobs)
    return ran


@pytest.mark.parametrize("gate", ["own", "tags", "scores"])
@pytest.mark.parametrize(("rule", "decoder"), RULES.values(), ids=RULES)
def test_shards_are_decoded_as_the_whole(rule, decoder, gate, run):
    rng = np.random.default_rng(3)
    scores = random_scores(clipwise=rng.random((5, 3)), n_frames=[60, 60, 31, 1, 44])
    rules = Postprocessing.uniform(scores.labels, replace(rule, clip_threshold=0.4), decoder)
    # Under other names, in another order, with clips that nobody asks for.
    ids = ("x", *(name.removesuffix(".wav") for name in scores.filenames[::-1]))
    tags = {
        "own": None,
        "tags": Tags(ids, scores.labels, rng.random((6, 3)) > 0.4),
        "scores": replace(make_scores(np.zeros((6, 1, 3)), clipwise=rng.random((6, 3))), filenames=ids),
    }[gate]
    thresholds = [0.2, 0.5, 0.8]
    assert as_set(decode_shards(scores, rules, tags, 2)) == as_set(decode(scores, rules, tags))
    points, expected = (
        decode_thresholds_shards(scores, thresholds, rules, tags, 2),
        decode_thresholds(scores, thresholds, rules, tags),
    )
    np.testing.assert_array_equal(points.bounds, expected.bounds)
    np.testing.assert_array_equal(points.intervals, expected.intervals)
    assert [as_set(one) for one in points] == [as_set(one) for one in expected]
    if decoder != "derivative":
        many, whole = processed_scores_shards(scores, rules, tags, 2), processed_scores(scores, rules, tags)
        assert many.framewise.dtype == whole.framewise.dtype and many.processed
        np.testing.assert_array_equal(many.framewise, whole.framewise)
        for i in range(5):
            np.testing.assert_array_equal(many.edges(i), whole.edges(i))
    assert set(run) == {3}


def test_clips_on_grids_of_their_own_stay_together(run):
    scores = random_scores(clips=3)
    own = replace(scores, frame_edges_s=(scores.frame_edges_s,) * 3)
    rules = Postprocessing.uniform(scores.labels, EVERY_RULE["gap"][0])
    assert as_set(decode_shards(own, rules, None, 2)) == as_set(decode(scores, rules))
    assert run == []
