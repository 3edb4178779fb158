"""What is known of windows, by hand calculation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.windows import lay
from sedkit.features.frontends.logmel import LogMel
from sedkit.training.labels import Labels, Targets, event_roll
from sedkit.training.settings import LabelSettings

#: 100 frames a second.
FRONTEND = LogMel(sample_rate=16000, n_fft=512, hop_samples=160, n_mels=16, fmax_hz=8000.0, clip_s=None)
FIVE = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")
CATEGORIES = ("dog", "cat", "pouring_water", "vacuum_cleaner", "clock_alarm", "rain")
#: Onset, offset, class: in clip x of 4 s; clip y has none.
EVENTS = [(0.5, 1.5, "Speech"), (1.0, 2.25, "Dog"), (3.05, 3.25, "Cat")]
WindowsOf = Callable[..., Targets]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Six clips of 3 s, each of one category."""
    names = tuple(f"{i}.wav" for i in range(6))
    tags = Tags(names, CATEGORIES, np.eye(6, dtype=bool))
    path = tmp_path_factory.mktemp("data") / "tagged"
    return write_datadir(path, Clips(names, names, np.full(6, 3.0)), Vocabulary(CATEGORIES), weak=tags)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Two clips of 4 s, the first with events."""
    names, labels = ("x.wav", "y.wav"), ("Speech", *FIVE)
    events = Events.from_rows([*(("x.wav", *event) for event in EVENTS), ("y.wav", None, None, None)], labels)
    path = tmp_path_factory.mktemp("data") / "scenes"
    return write_datadir(path, Clips(names, names, np.full(2, 4.0)), Vocabulary(labels), strong=events)


def targets(data: DataDir, length: int, hop: int, classes: Any = FIVE, moved: bool = False, **settings: Any) -> Targets:
    """The targets of windows over all clips of a set."""
    n_frames = np.rint(data.clips.duration_s * 100).astype(np.int64)
    labels = Labels(data, LabelSettings(**settings), None if classes is None else Vocabulary(classes))
    windows = lay(n_frames, FRONTEND.grid, length, hop)
    return labels.of(windows, np.arange(len(n_frames)), n_frames, FRONTEND, moved)


def test_event_frames_are_half_open() -> None:
    events = Events.from_rows([("a", 0.5, 1.0, "Cat"), ("a", 9.99, 10.4, "Dog"), ("b", None, None, None)], FIVE)
    roll = event_roll(events, TimeGrid(32000, 500), 640)
    assert roll.shape == (2, 640, 5)
    assert np.flatnonzero(roll[0, :, 1]).tolist() == list(range(32, 64))
    assert np.flatnonzero(roll[0, :, 2]).tolist() == [639]
    assert not roll[1].any()


def test_every_window_of_a_tagged_clip_has_its_tags(tagged: DataDir) -> None:
    known = targets(tagged, 100, 10, None, map="esc50_desed", others=False)
    assert known.present is not None and known.present.shape == (6 * 21, 5)
    assert known.of_clips(np.array([0, 20, 21, 105])).tolist() == [  # type: ignore[union-attr]
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    windows = lay(np.full(6, 300), FRONTEND.grid, 100, 10)
    assert known.of_frames(windows.take(np.array([0])), np.array([0]), 100) is None


@pytest.mark.parametrize(("others", "used"), [(True, [1, 1, 1, 1, 1, 1]), (False, [1, 1, 1, 1, 1, 0])])
def test_clips_of_no_class_are_examples_of_nothing_or_left_out(tagged: DataDir, others: bool, used: list[int]) -> None:
    labels = Labels(tagged, LabelSettings(map="esc50_desed", others=others), None)
    assert labels.classes.labels == FIVE
    assert labels.usable(np.arange(6)).tolist() == used


def test_a_map_may_name_several_categories_and_such_as_are_absent(tagged: DataDir, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("classes: {Pet: [cat, dog, hen], Wet: [rain, pouring_water]}\n")
    known = targets(tagged, 300, 300, None, map=str(tmp_path / "map.yaml"))
    assert known.present is not None
    assert known.present.astype(int).tolist() == [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("least_s", "dog", "cat"),
    [
        # Windows of 1 s every 0.5 s. Dog fills .5, 1, .75, .25 s of those from 0.5 s on; Cat all its 0.2 s.
        (0.0, [0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1]),
        (0.3, [0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]),
        (0.5, [0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]),
    ],
)
def test_events_are_in_the_windows_that_they_cover_enough_of(
    scenes: DataDir, least_s: float, dog: list[int], cat: list[int]
) -> None:
    known = targets(scenes, 100, 50, least_s=least_s)
    present = known.present
    assert present is not None and present.shape == (14, 5)
    assert present[:7, 2].astype(int).tolist() == dog
    assert present[:7, 1].astype(int).tolist() == cat
    assert not present[:, [0, 3, 4]].any() and not present[7:].any()


def test_whole_clips_have_the_union_of_their_events(scenes: DataDir) -> None:
    known = targets(scenes, 400, 400)
    assert known.present is not None
    assert known.present.astype(int).tolist() == [[0, 1, 1, 0, 0], [0] * 5]


@pytest.mark.parametrize("target", ["frame", "clip", "tiled"])
def test_frame_targets_of_a_window(scenes: DataDir, target: str) -> None:
    known = targets(scenes, 100, 50, target=target)
    windows = lay(np.full(2, 400), FRONTEND.grid, 100, 50)
    # From 1.5 s and from 3 s on; the latter asked for 20 frames beyond the clip's end.
    at = np.array([3, 6])
    frames = known.of_frames(windows.take(at), at, 120)
    if target == "clip":
        assert frames is None
        return
    assert frames is not None and frames.shape == (2, 120, 5) and frames.dtype == np.float32
    dog, cat = (range(75), range(5, 25)) if target == "frame" else (range(120), range(120))
    assert np.flatnonzero(frames[0, :, 2]).tolist() == list(dog)
    assert np.flatnonzero(frames[1, :, 1]).tolist() == list(cat)
    assert frames.sum() == len(dog) + len(cat)


def test_what_steps_move_is_known_by_frames_but_not_asked_for(scenes: DataDir) -> None:
    known = targets(scenes, 100, 50, moved=True)
    assert known.roll is not None and not known.framed
    assert targets(scenes, 100, 50, target="frame").framed


def test_nothing_is_known_of_an_unlabelled_stream(tagged: DataDir) -> None:
    known = targets(tagged, 100, 100, ("Whatever",), target="none")
    assert known.present is None and known.roll is None


@pytest.mark.parametrize("strong", [True, False])
def test_pseudo_labels_come_from_another_table(tagged: DataDir, tmp_path: Path, strong: bool) -> None:
    rows = [f"{i}.wav\t" + ("" if i else "0.5\t1.5\t") * strong + ("" if i else "cat") for i in range(6)]
    rows[1:] = [f"{i}.wav" + "\t" * (3 if strong else 1) for i in range(1, 6)]
    header = "filename\tonset\toffset\tevent_label" if strong else "filename\tevent_labels"
    source = tmp_path / "pseudo.tsv"
    source.write_text("\n".join([header, *rows]) + "\n")
    known = targets(tagged, 100, 100, None, map="esc50_desed", source=str(source))
    assert known.present is not None
    # Clip 0 is a dog; the table takes it for a cat, of which events fill half of its first two windows.
    assert np.argwhere(known.present).tolist() == [[0, 1], [1, 1], *([] if strong else [[2, 1]])]


@pytest.mark.parametrize(
    ("settings", "classes", "message"),
    [
        ({}, FIVE, "labels.txt: has nothing for Alarm_bell_ringing.*give labels.map"),
        ({"map": "esc50_desed"}, ("Dog", "Speech"), "labels.map esc50_desed gives Alarm_bell_ringing.*run's Dog"),
        ({"map": "esc50_desed", "target": "frame"}, FIVE, "no strong.tsv|target is frame"),
        ({"map": "nowhere"}, None, "nowhere"),
        ({"map": "esc50_desed", "source": "nowhere.tsv"}, FIVE, "nowhere.tsv: no such file"),
    ],
)
def test_errors_name_what_is_wrong(tagged: DataDir, settings: dict, classes: Any, message: str) -> None:
    with pytest.raises((SedkitError, UsageError), match=message):
        targets(tagged, 100, 100, classes, **settings)


def test_pseudo_labels_that_lack_clips_are_named(tagged: DataDir, tmp_path: Path) -> None:
    (tmp_path / "pseudo.tsv").write_text("filename\tevent_labels\n0.wav\tcat\n")
    with pytest.raises(SedkitError, match="5 clips are not listed"):
        targets(tagged, 100, 100, None, map="esc50_desed", source=str(tmp_path / "pseudo.tsv"))
