"""Rescaling, moving average and the encoders of arXiv 1901.03146, frame by frame against plain Python."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from sklearn.preprocessing import minmax_scale
from slow_decoder import make_scores

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.events import Tags
from sedkit.dataio.store import write_scores
from sedkit.postprocessing import PRESETS, FrameRule, Postprocessing, decode, decode_thresholds
from sedkit.postprocessing.processed import processed_scores
from sedkit.postprocessing.rules import SlopeRule
from sedkit.postprocessing.tune import tune

RATE_HZ = 22050 / 512


def curves(clips: int = 4, frames: int = 431, classes: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth random curves between 0 and 1."""
    noise = np.random.default_rng(seed).standard_normal((clips, frames + 20, classes))
    return 1 / (1 + np.exp(-4 * np.stack([noise[:, k : k + frames] for k in range(21)]).mean(axis=0)))


def stretched(x: list[float]) -> list[float]:
    """Scaled by the least and the largest of all but three frames at each end."""
    inner = x[3:-3] if len(x) > 6 else x
    low, high = min(inner), max(inner)
    return [(v - low) / (high - low + 1e-7) for v in x]


def beyond(x: list[float], t: int) -> float:
    """A point of a curve continued by turning it about its first and last points."""
    n = len(x)
    if t < 0:
        return 2 * x[0] - x[-t]
    return x[t] if t < n else 2 * x[-1] - x[2 * n - 2 - t]


def moving(x: list[float], window: int) -> list[float]:
    half = window // 2
    return [sum(beyond(x, t + k) for k in range(-half, half + 1)) / window for t in range(len(x))]


def runs(active: list[bool]) -> list[tuple[int, int]]:
    """Half-open intervals of True."""
    out, t = [], 0
    for on, group in groupby(active):
        n = len(list(group))
        if on:
            out.append((t, t + n))
        t += n
    return out


def frames_of(scores, rules, **keywords) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Decoded events as frames, by clip and class."""
    events = decode(scores, rules, **keywords)
    out: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for clip, label, onset, offset in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        first, last = round(onset * RATE_HZ, 6), round(offset * RATE_HZ, 6)
        assert first == int(first) and last == int(last)
        out.setdefault((int(clip), int(label)), []).append((int(first), int(last)))
    return out


def expected(x: np.ndarray, encode) -> dict[tuple[int, int], list[tuple[int, int]]]:
    pairs = {
        (i, c): encode([float(v) for v in np.float32(x[i, :, c])]) for i in range(len(x)) for c in range(x.shape[2])
    }
    return {pair: intervals for pair, intervals in pairs.items() if intervals}


def by_threshold(x: list[float]) -> list[tuple[int, int]]:
    return runs([v > 0.03 for v in moving(stretched(x), 19)])


def by_area(x: list[float]) -> list[tuple[int, int]]:
    """The sum of five frames above 5 / 4."""
    y = stretched(x)
    return runs([sum(beyond(y, t + k) for k in range(-2, 3)) > 5 / 4 for t in range(len(y))])


def by_derivative(x: list[float]) -> list[tuple[int, int]]:
    y = moving(stretched(x), 19)
    n, on, active = len(y), False, []
    for t in range(n):
        rise = y[min(t + 2, n - 1)] - y[max(t - 2, 0)]
        on = rise > 0.5 or (on and not rise < -0.5)
        active.append(on)
    return runs(active)


@pytest.mark.parametrize(("preset", "encode"), [("mil", by_threshold), ("mil_area", by_area)])
@pytest.mark.parametrize("frames", [431, 40, 12, 6, 1])
def test_the_published_rule_to_the_frame(preset: str, encode, frames: int) -> None:
    """A window reaches beyond a clip of less than ten frames twice, which the publication never meets."""
    x = curves(frames=frames)
    found = frames_of(make_scores(x, rate_hz=RATE_HZ), PRESETS[preset])
    if frames > 10:
        assert found == expected(x, encode)
        assert sum(map(len, found.values())) >= 10
    if frames == 1:
        assert not found


def test_the_encoder_by_rises_and_falls() -> None:
    """Steps, since smooth curves rise by half in five frames only where they are not averaged."""
    x = np.repeat(np.random.default_rng(1).random((5, 60, 2)) > 0.6, 7, axis=1).astype(float)
    rule = SlopeRule(threshold=0.5, low=-0.5, slope_s=5 / RATE_HZ, rescale_trim_s=3 / RATE_HZ)

    def encode(y: list[float]) -> list[tuple[int, int]]:
        on, active, y = False, [], stretched(y)
        for t in range(len(y)):
            rise = y[min(t + 2, len(y) - 1)] - y[max(t - 2, 0)]
            on = rise > 0.5 or (on and not rise < -0.5)
            active.append(on)
        return runs(active)

    scores = make_scores(x, rate_hz=RATE_HZ)
    events = frames_of(scores, Postprocessing.uniform(scores.labels, rule, "derivative"))
    assert events == expected(x, encode)
    assert sum(map(len, events.values())) > 50
    # Without a second limit, the first one with its sign turned; half the limits find more.
    assert events == frames_of(
        scores, Postprocessing.uniform(scores.labels, SlopeRule(**_without_low(rule)), "derivative")
    )
    assert frames_of(scores, PRESETS["mil_derivative"]) == expected(x, by_derivative)
    points = decode_thresholds(scores, [0.5], Postprocessing.uniform(scores.labels, rule, "derivative"))
    assert len(points.events(0).onset_s) == sum(map(len, events.values()))


def _without_low(rule: SlopeRule) -> dict[str, float]:
    return {"threshold": rule.threshold, "slope_s": rule.slope_s, "rescale_trim_s": rule.rescale_trim_s}


def test_rescaling_is_scikit_learns_of_each_clip_and_class() -> None:
    """Of all frames (nothing trimmed): a threshold between 0 and 1 on what `minmax_scale` gives."""
    x = curves(seed=2)
    scores = make_scores(x, rate_hz=RATE_HZ)
    rules = Postprocessing.uniform(scores.labels, FrameRule(threshold=0.6, rescale_trim_s=0.0))
    made = processed_scores(scores, rules).framewise
    np.testing.assert_allclose(made, [minmax_scale(clip) for clip in np.float32(x)], atol=1e-5)


def test_rows_behind_the_end_of_a_clip_have_no_say() -> None:
    x = curves(clips=3)
    x[1, 200:] = 5.0
    n_frames = np.array([431, 200, 0])
    whole = frames_of(make_scores(x, n_frames=n_frames, rate_hz=RATE_HZ), PRESETS["mil"])
    alone = frames_of(make_scores(x[1:2, :200], rate_hz=RATE_HZ), PRESETS["mil"])
    assert {c: intervals for (i, c), intervals in whole.items() if i == 1} == {c: v for (_, c), v in alone.items()}
    assert not [clip for clip, _ in whole if clip == 2]


def test_a_constant_curve_has_no_event_and_any_other_has_one() -> None:
    """The published code divides by zero where nothing changes; whatever is tagged gets an event elsewhere."""
    flat = make_scores(np.full((1, 431, 1), 0.7), rate_hz=RATE_HZ)
    assert frames_of(flat, PRESETS["mil"]) == {}
    faint = np.zeros((1, 431, 1))
    faint[0, 100:140] = 1e-3
    (((first, last),),) = frames_of(make_scores(faint, rate_hz=RATE_HZ), PRESETS["mil"]).values()
    assert first < 100 and last > 140


def test_classes_that_differ_in_their_rules() -> None:
    x = curves()
    rules = [FrameRule(threshold=0.03, rescale_trim_s=3 / RATE_HZ, mean_s=19 / RATE_HZ), FrameRule(threshold=0.5)]
    scores = make_scores(x[:, :, :2], rate_hz=RATE_HZ)
    found = frames_of(scores, Postprocessing(scores.labels, tuple(rules)))
    wanted = expected(x[:, :, :1], by_threshold)
    wanted |= {(i, 1): runs(row) for i, row in enumerate(np.float32(x[:, :, 1]) > 0.5) if row.any()}
    assert found == wanted


def test_only_tagged_classes_are_decoded(tmp_path) -> None:
    scores = make_scores(curves(clips=2), rate_hz=RATE_HZ)
    tags = Tags(scores.filenames, scores.labels, np.array([[True, False, False], [False, True, True]]), "tags")
    everything = frames_of(scores, PRESETS["mil"])
    assert len(everything) == 6
    opened = {pair: everything[pair] for pair in [(0, 0), (1, 1), (1, 2)]}
    assert frames_of(scores, PRESETS["mil"], tags=tags) == opened
    # A table of events opens the gate too: what their clips hold, as an oracle's.
    (tmp_path / "strong.tsv").write_text(
        "filename\tonset\toffset\tevent_label\n0.wav\t1.0\t2.0\tclass0\n1.wav\t0.0\t0.5\tclass1\n1.wav\t3\t4\tclass2\n"
        "1.wav\t5\t6\tclass2\n"
    )
    write_scores(tmp_path / "scores.h5", scores)
    words = ["decode", str(tmp_path / "scores.h5"), "--postprocessing", "mil", "--tags", str(tmp_path / "strong.tsv")]
    assert main([*words, "--out", str(tmp_path / "events.tsv")]) == 0
    rows = [line.split("\t") for line in (tmp_path / "events.tsv").read_text().splitlines()[1:]]
    assert {(int(row[0][0]), int(row[3][-1])) for row in rows} == set(opened)
    assert len(rows) == sum(map(len, opened.values()))


def test_rules_are_tuned_behind_what_their_start_does(tmp_path) -> None:
    x = curves(clips=10, frames=120) * np.random.default_rng(0).uniform(0.1, 1.0, (10, 1, 3))
    scores = make_scores(x, rate_hz=RATE_HZ)
    of_curves = FrameRule(threshold=0.5, rescale_trim_s=3 / RATE_HZ, mean_s=19 / RATE_HZ)
    truth = decode(scores, Postprocessing.uniform(scores.labels, of_curves))
    plain, start = (tune(scores, truth, "event", PRESETS[name]) for name in ("baseline2018", "mil"))
    assert start.value == 1.0 and plain.value < 0.9
    assert {(rule.rescale_trim_s, rule.mean_s) for rule in start.rules} == {(3 / RATE_HZ, 19 / RATE_HZ)}
    with pytest.raises(UsageError, match="derivative is not tuned by F1"):
        tune(scores, truth, "event", PRESETS["mil_derivative"])
    start.write(tmp_path / "post.yaml")
    again = Postprocessing.read(tmp_path / "post.yaml")
    assert again.rules == start.rules


def test_what_can_be_written_as_scores() -> None:
    scores = make_scores(curves(), rate_hz=RATE_HZ)
    rules = PRESETS["mil"].over(scores.labels)
    made = processed_scores(scores, rules)
    events = [
        list(decode(one, r).rows())
        for one, r in ((scores, rules), (made, Postprocessing.uniform(scores.labels, FrameRule(0.03))))
    ]
    assert events[0] == events[1]
    with pytest.raises(SedkitError, match="preset mil_derivative: no scores hold the events of the decoder derivative"):
        processed_scores(scores, PRESETS["mil_derivative"].over(scores.labels))


def test_refused() -> None:
    with pytest.raises(SedkitError, match="rescale_trim_s is -1, expected seconds of at least 0"):
        FrameRule(threshold=0.5, rescale_trim_s=-1)
    with pytest.raises(SedkitError, match="the decoder derivative needs a SlopeRule"):
        Postprocessing.uniform(("Cat",), FrameRule(threshold=0.5), "derivative")
