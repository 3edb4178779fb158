import csv
import itertools
import lzma
from collections import Counter, defaultdict

import numpy as np
import pytest

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError
from sedkit.synthesis.folds import deal
from sedkit.synthesis.plan import MixSettings, draw
from sedkit.synthesis.plan_file import read_plan, write_plan

from .mix_case import LABELS, events_dir, scenes_dir, table

PUBLISHED = {"repeat": "published", "assignment": "published", "placement": "slots"}


def settings(**changes):
    small = {"mixtures": 8, "length_s": 2.0, "sample_rate": 8000, "longest_s": 0.4, "onsets": [0.1, 0.6, 1.1]}
    return typed({"events": "events", "scenes": "scenes"} | small | changes, MixSettings, "mix")


@pytest.fixture(scope="module")
def true_table(shared):
    """FSDKaggle2018's train.csv: names, labels, which are verified."""
    with lzma.open(shared / "vectors" / "metadata_true" / "fsdkaggle2018_train.csv.xz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9473
    return rows


@pytest.fixture(scope="module")
def true_dirs(true_table, tmp_path_factory):
    """The verified clips with the published folds, and as many scenes as TUT Urban 2018 has."""
    folder = tmp_path_factory.mktemp("true")
    shuffled = list(range(len(true_table)))
    np.random.RandomState(1234).shuffle(shuffled)
    fold = {row: k % 4 + 1 for k, row in enumerate(shuffled)}
    rows = [i for i, row in enumerate(true_table) if row["manually_verified"] == "1"]
    names, labels = [true_table[i]["fname"] for i in rows], [true_table[i]["label"] for i in rows]
    # The published example tells what the first three clips last.
    seconds = {"19f45b13.wav": 0.72, "63874688.wav": 0.38}
    lengths = [seconds.get(name, 4.0) for name in names]
    classes = tuple(sorted(set(labels)))
    events = table(folder / "events", names, lengths, tuple(str(fold[i]) for i in rows), None, labels, classes)
    scenes = [f"scene-{i}.wav" for i in range(8640)]
    places = tuple(f"place{i // 30}" for i in range(8640))
    return events, table(folder / "scenes", scenes, np.full(8640, 10.0), None, places), fold


def test_the_published_plan_of_the_true_tables(true_dirs, true_table):
    events, scenes, fold = true_dirs
    plan = draw(MixSettings("events", "scenes", **PUBLISHED), events, scenes)
    assert len(plan.mixtures) == 8000
    assert Counter(m.fold for m in plan.mixtures) == dict.fromkeys("1234", 2000)
    assert [m.mixture_name for m in plan.mixtures[::7999]] == ["00000.wav", "07999.wav"]
    # The first mixture of the authors' file, and the number in its scene's name, metro_station-barcelona-62-1861-a.wav.
    first = plan.mixtures[0]
    assert first.scene_audio_name == "scene-1861.wav"
    assert first.events[0].event_audio_name == "19f45b13.wav"
    assert first.events[0].event_label == "Tambourine"
    assert [(e.onset, e.offset) for e in first.events] == [(0.5, 1.22), (3.0, 3.38), (5.5, 7.5)]
    # Drawn again from the specification's words.
    rng = np.random.RandomState(1234)
    scene_rows = list(range(8640))
    rng.shuffle(scene_rows)
    assert [m.scene_audio_name for m in plan.mixtures] == [f"scene-{i}.wav" for i in scene_rows[:8000]]
    clips = []
    for k in (1, 2, 3, 4):
        pool = np.array(
            [r["fname"] for i, r in enumerate(true_table) if r["manually_verified"] == "1" and fold[i] == k]
        )
        rounds = 0
        while rounds * len(pool) < 6000:
            rng.shuffle(pool)
            rounds += 1
        clips += (list(pool) * rounds)[:6000]
    assert [e.event_audio_name for m in plan.mixtures for e in m.events] == clips


def test_the_true_tables_plan_8000_mixtures_without_a_leak(true_dirs, tmp_path):
    events, scenes, _ = true_dirs
    plan = draw(MixSettings("events", "scenes"), events, scenes)
    folds_of = defaultdict(set)
    for m in plan.mixtures:
        folds_of[m.scene_group].add(m.fold)
        for e in m.events:
            folds_of[e.event_audio_name].add(m.fold)
    assert len(plan.mixtures) == 8000
    assert {len(folds) for folds in folds_of.values()} == {1}
    assert len({m.scene_audio_name for m in plan.mixtures}) == 8000
    # More values than any other YAML may hold.
    quarter = draw(MixSettings("events", "scenes", mixtures=500), events, scenes)
    write_plan(tmp_path / "plan.yaml", quarter)
    assert read_plan(tmp_path / "plan.yaml").mixtures == quarter.mixtures


@pytest.mark.parametrize("repeat", ["fresh", "published"])
def test_a_fold_hears_each_clip_as_often_in_new_orders_or_the_same(repeat, tmp_path):
    events, scenes = events_dir(tmp_path / "events"), scenes_dir(tmp_path / "scenes")
    plan = draw(settings(mixtures=10, repeat=repeat), events, scenes)
    for fold in "1234":
        clips = [e.event_audio_name for m in plan.mixtures if m.fold == fold for e in m.events]
        rounds = [clips[i : i + 6] for i in range(0, 30, 6)]
        assert {frozenset(r) for r in rounds} == {frozenset(clips)}
        assert len(frozenset(clips)) == 6
        assert (len({tuple(r) for r in rounds}) == 1) == (repeat == "published")


def test_groups_stay_whole_and_folds_even(tmp_path):
    # Two strata of groups of 3, 3, 2, 2, 1, 1 clips: each fold gets 6 clips of each.
    groups = [f"{s}{k}" for s in "ab" for k, size in enumerate((3, 3, 2, 2, 1, 1)) for _ in range(size)]
    folds = deal(groups, [g[0] for g in groups], ["x", "y"], np.random.default_rng(0))
    assert Counter((g[0], f) for g, f in zip(groups, folds, strict=True)) == dict.fromkeys(
        (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")), 6
    )
    assert len(set(zip(groups, folds, strict=True))) == 12


def test_folds_of_the_data_dirs_are_taken_and_a_leak_is_told(tmp_path):
    names = ["a.wav", "b.wav", "c.wav", "d.wav"]
    label = LABELS
    scenes = table(tmp_path / "scenes", names, [2.0] * 4, tuple("1122"), ("p", "p", "q", "r"))
    events = table(tmp_path / "events", names, [1.0] * 4, tuple("1122"), ("g", "g", "h", ""), label)
    plan = draw(settings(mixtures={"2": 3, "1": 2}), events, scenes)
    assert [m.fold for m in plan.mixtures] == list("22211")
    for m in plan.mixtures:
        allowed = {"a.wav", "b.wav"} if m.fold == "1" else {"c.wav", "d.wav"}
        assert {m.scene_audio_name, *(e.event_audio_name for e in m.events)} <= allowed
    leaking = table(tmp_path / "leaking", names, [1.0] * 4, tuple("1122"), ("g", "g", "g", ""), label)
    with pytest.raises(SedkitError, match=r"leaking/clips.tsv: group g is in fold 1 and in fold 2"):
        draw(settings(), leaking, scenes)
    with pytest.raises(SedkitError, match=r"scenes/clips.tsv: .*1 groups .* 2 folds"):
        draw(settings(), events, table(tmp_path / "one" / "scenes", names, [2.0] * 4, None, ("p",) * 4))
    # The published assignment lets scenes meet, never clips.
    draw(settings(assignment="published"), events, table(tmp_path / "two", names, [2.0] * 4, None, ("p",) * 4))


def test_the_selection_part_of_a_fold_gets_its_share_of_the_mixtures(tmp_path):
    names = [f"{k}.wav" for k in range(14)]
    fold = ("1",) * 9 + ("1-select",) + ("2",) * 3 + ("2-select",)
    events = table(tmp_path / "events", names, [1.0] * 14, fold, None, ["Bark"] * 14)
    scenes = table(tmp_path / "scenes", names, [2.0] * 14, fold)
    plan = draw(settings(mixtures=20), events, scenes)
    assert Counter(m.fold for m in plan.mixtures) == {"1": 18, "1-select": 2, "2": 15, "2-select": 5}
    home = dict(zip(names, fold, strict=True))
    for m in plan.mixtures:
        assert {home[m.scene_audio_name], *(home[e.event_audio_name] for e in m.events)} == {m.fold}


def test_what_cannot_be_mixed_is_told(tmp_path):
    names = ["a.wav", "b.wav"]
    scenes = table(tmp_path / "scenes", names, [2.0, 2.0], None, ("p", "q"))
    events = table(tmp_path / "events", names, [1.0, 1.0], tuple("12"), None, LABELS[:2])
    with pytest.raises(SedkitError, match=r"short/clips.tsv: b.wav lasts 1.5 s, expected 2 s"):
        draw(settings(), events, table(tmp_path / "short", names, [2.0, 1.5]))
    with pytest.raises(SedkitError, match=r"events/clips.tsv: no fold '3' for mix.mixtures; has 1, 2"):
        draw(settings(mixtures={"3": 1}), events, scenes)
    untagged = table(tmp_path / "untagged", names, [1.0, 1.0], tuple("12"), None, ["Bark", "none"])
    with pytest.raises(SedkitError, match=r"untagged/weak.tsv: b.wav has 0 tags"):
        draw(settings(), untagged, scenes)
    with pytest.raises(SedkitError, match=r"folded/clips.tsv: no scene in fold 2"):
        draw(settings(), events, table(tmp_path / "folded", names, [2.0, 2.0], ("1", "1")))


def test_uniform_onsets_are_uniform_and_leave_clips_and_scenes_alone(tmp_path):
    from scipy.stats import kstest

    events, scenes = events_dir(tmp_path / "events"), scenes_dir(tmp_path / "scenes")
    slots = draw(settings(mixtures=100), events, scenes)
    plan = draw(settings(mixtures=100, placement="uniform"), events, scenes)
    what = [[(m.scene_audio_name, e.event_audio_name) for e in m.events] for m in plan.mixtures]
    assert what == [[(m.scene_audio_name, e.event_audio_name) for e in m.events] for m in slots.mixtures]
    placed = [e for m in plan.mixtures for e in m.events]
    assert max(e.offset for e in placed) <= 2.0
    share = [e.onset / (2.0 - (e.offset - e.onset)) for e in placed]
    assert kstest(share, "uniform").pvalue > 0.01
    assert any(a.onset < b.offset and b.onset < a.offset for m in plan.mixtures for a, b in [m.events[:2]])


def test_events_need_not_overlap(tmp_path):
    events, scenes = events_dir(tmp_path / "events"), scenes_dir(tmp_path / "scenes")
    plan = draw(settings(mixtures=50, placement="uniform", overlap=False, longest_s=0.66), events, scenes)
    orders = set()
    for m in plan.mixtures:
        spans = sorted((e.onset, e.offset) for e in m.events)
        assert spans[0][0] >= 0
        assert spans[-1][1] <= 2.0
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(spans))
        orders.add(tuple(np.argsort([e.onset for e in m.events])))
    assert len(orders) == 6


def test_the_seed_decides(tmp_path):
    events, scenes = events_dir(tmp_path / "events"), scenes_dir(tmp_path / "scenes")
    one, same, other = (draw(settings(placement="uniform", seed=s), events, scenes) for s in (1, 1, 2))
    assert one == same
    assert one.mixtures != other.mixtures


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"placement": "random"}, "placement is 'random', expected one of slots, uniform"),
        ({"snr": "peak"}, "snr is 'peak'"),
        ({"mixtures": 0}, "mixtures is 0"),
        ({"onsets": [0.1, 0.6]}, "expected 3, one for each event"),
        ({"onsets": [0.1, 0.6, 1.7]}, "each with room for 0.4 s"),
        ({"placement": "uniform", "overlap": False, "longest_s": 0.9, "onsets": []}, "do not fit into 2 s"),
        ({"seed": -1}, "seed is -1"),
        ({"repeats": "fresh"}, "unknown key 'repeats'"),
    ],
)
def test_wrong_settings_are_told_in_one_line(changes, message):
    with pytest.raises(UsageError) as told:
        settings(**changes)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_longer_scenes_begin_anywhere_and_those_of_the_length_at_their_start(tmp_path):
    from scipy.stats import kstest

    events, exact = events_dir(tmp_path / "events"), scenes_dir(tmp_path / "scenes")
    names = exact.clips.filename
    longer = table(tmp_path / "long", names, [6.0, 2.0] * 6, None, exact.clips.group)
    before, plan = (draw(settings(mixtures=100), events, scenes) for scenes in (exact, longer))
    assert {m.scene_start for m in before.mixtures} == {0.0}
    of_exact = {m.scene_start for m in plan.mixtures if m.scene_audio_name in names[1::2]}
    starts = [m.scene_start for m in plan.mixtures if m.scene_audio_name in names[0::2]]
    assert of_exact == {0.0}
    assert min(starts) >= 0 and max(starts) <= 4.0
    assert kstest(np.array(starts) / 4.0, "uniform").pvalue > 0.01
    # Everything else is as it was.
    assert [m.events for m in plan.mixtures] == [m.events for m in before.mixtures]
    assert [m.scene_audio_name for m in plan.mixtures] == [m.scene_audio_name for m in before.mixtures]


def test_events_of_a_part_without_scenes_are_mixed_with_its_fold(tmp_path, caplog):
    names = [f"{k}.wav" for k in range(8)]
    events = table(
        tmp_path / "events", names, [1.0] * 8, ("1",) * 3 + ("1-select", "2", "2", "2", "2-select"), None, LABELS * 2
    )
    scenes = table(tmp_path / "scenes", names[:3], [2.0] * 3, ("1", "2", "2-select"))
    with caplog.at_level("INFO", logger="sedkit"):
        plan = draw(settings(mixtures=4, onsets=[0.5] * 3), events, scenes)
    assert "no scene in 1-select, so the events there are mixed with the fold's" in caplog.text
    assert Counter(m.fold for m in plan.mixtures) == {"1": 4, "2": 3, "2-select": 1}
    assert {e.event_audio_name for m in plan.mixtures if m.fold == "1" for e in m.events} == set(names[:4])


def test_labels_of_too_few_clips_are_not_mixed(tmp_path):
    names = [f"{k}.wav" for k in range(9)]
    label = ["Bark"] * 4 + ["Chime"] * 3 + ["Flute"] + ["Cough"]
    fold = (*"121212", "1-select", "2-select", "2")
    events = table(tmp_path / "events", names, [1.0] * 9, fold, None, label)
    scenes = table(tmp_path / "scenes", names, [2.0] * 9, fold)
    plan = draw(settings(mixtures=8, fewest_clips=3), events, scenes)
    # Three barks and chimes are left of either fold, and of the selection parts one of fold 1.
    assert Counter(m.fold for m in plan.mixtures) == {"1": 6, "1-select": 2, "2": 8}
    assert {e.event_label for m in plan.mixtures for e in m.events} == {"Bark", "Chime"}
    with pytest.raises(SedkitError, match="events/weak.tsv: no label has 5 clips, as mix.fewest_clips asks"):
        draw(settings(fewest_clips=5), events, scenes)
