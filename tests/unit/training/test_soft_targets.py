"""Soft labels as targets, categories that stand for several classes, and sets that are annotated for some classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FRONTEND as CONFIG
from fake_data import LABELS, plan
from training_runs import train

from sedkit.core.config import typed
from sedkit.core.errors import UsageError
from sedkit.core.vocabulary import DESED_CLASSES, Vocabulary
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.tables import read_strong
from sedkit.dataio.windows import lay
from sedkit.datasets.maps import load_class_map, load_classes
from sedkit.features.augment import Augmentations, AugmentSetup
from sedkit.features.batch import StreamBatch
from sedkit.features.frontends import frontend_from
from sedkit.features.frontends.logmel import LogMel
from sedkit.training.labels import Labels, Targets
from sedkit.training.settings import LabelSettings, StreamSettings
from sedkit.training.streams import StreamReader

#: 100 frames a second.
FRONTEND = LogMel(sample_rate=16000, n_fft=512, hop_samples=160, n_mels=16, fmax_hz=8000.0, clip_s=None)
JOINT = load_classes("desed_maestro")
#: Two people's voices in the first second, then an announcement that few heard beside them; dishes later on.
ROWS = [
    (0, 1, "people talking", 0.9),
    (0, 1, "children voices", 0.4),
    (1, 2, "people talking", 0.7),
    (1, 2, "announcement", 0.2),
    (3, 4, "cutlery and dishes", 0.6),
]


@pytest.fixture
def scene(tmp_path: Path) -> DataDir:
    """A recording of 5 s with the 17 classes of MAESTRO Real."""
    text = "".join(f"scene.wav\t{a}\t{b}\t{label}\t{value}\n" for a, b, label, value in ROWS)
    (tmp_path / "t.tsv").write_text("filename\tonset\toffset\tevent_label\tconfidence\n" + text)
    labels = load_classes("maestro")
    events = read_strong(tmp_path / "t.tsv", labels.labels, soft=True)
    clips = Clips(("scene.wav",), ("scene.wav",), np.array([5.0]))
    return write_datadir(tmp_path / "scene", clips, labels, strong=events)


def targets(data: DataDir, length: int = 200, **settings: Any) -> tuple[Labels, Targets, np.ndarray]:
    """Labels, targets and (windows, frames, classes) of windows every second, under the 27 classes."""
    labels = Labels(data, LabelSettings(**{"target": "frame", **settings}), JOINT, partly=True)
    n_frames = np.rint(data.clips.duration_s * 100).astype(np.int64)
    windows = lay(n_frames, FRONTEND.grid, length, 100)
    made = labels.of(windows, np.arange(len(n_frames)), n_frames, FRONTEND, False)
    frames = made.of_frames(windows, np.arange(len(windows)), length)
    assert frames is not None
    return labels, made, frames


def test_frames_have_the_soft_labels_of_every_class_that_a_category_stands_for(scene: DataDir) -> None:
    _, made, frames = targets(scene, map="maestro_desed")
    assert frames.shape == (4, 200, 27) and frames.dtype == np.float32
    at = {label: JOINT.index(label) for label in JOINT}
    first = frames[0]
    assert np.unique(first[:100, at["people talking"]]) == pytest.approx([0.9])
    assert np.unique(first[100:, at["people talking"]]) == pytest.approx([0.7])
    # Speech is the greatest of the voices.
    assert np.unique(first[:100, at["Speech"]]) == pytest.approx([0.9])
    assert np.unique(first[100:, at["Speech"]]) == pytest.approx([0.7])
    assert np.unique(frames[2, 100:, at["Dishes"]]) == pytest.approx([0.6])
    assert not frames[:, :, [at["Dog"], at["Cat"], at["car"]]].any()
    # A window holds the greatest of a class.
    present = made.of_clips(np.arange(4))
    assert present is not None
    assert present[:, at["people talking"]] == pytest.approx([0.9, 0.7, 0.0, 0.0])
    assert present[:, at["announcement"]] == pytest.approx([0.2, 0.2, 0.0, 0.0])
    # Events, for figures of events, are what more than half heard.
    assert made.events is not None and made.events.n_events == 6


def test_as_published_the_last_of_several_categories_counts(scene: DataDir) -> None:
    _, _, frames = targets(scene, map="maestro_desed", overlaps="last")
    speech = frames[0, :, JOINT.index("Speech")]
    # Rows are appended category by category, talking people first: children, then announcements overwrite them.
    assert np.unique(speech[:100]) == pytest.approx([0.4])
    assert np.unique(speech[100:]) == pytest.approx([0.2])


def test_a_set_is_annotated_for_its_classes_and_those_that_its_map_names(scene: DataDir, tmp_path: Path) -> None:
    labels, made, _ = targets(scene, map="maestro_desed")
    assert made.mask is not None and made.mask is labels.mask
    unknown = {"Alarm_bell_ringing", "Blender", "Cat", "Electric_shaver_toothbrush", "Frying", "Running_water"}
    known = {c for c, is_known in zip(JOINT, made.mask, strict=True) if is_known}
    assert known == set(JOINT) - unknown - {"Vacuum_cleaner"} and len(known) == 20
    clips = Clips(("a.wav",), ("a.wav",), np.array([5.0]))
    desed = write_datadir(tmp_path / "desed", clips, DESED_CLASSES)
    unlabelled = Labels(desed, LabelSettings(target="none"), JOINT, partly=True)
    assert unlabelled.mask is not None and np.flatnonzero(unlabelled.mask).tolist() == list(range(10))
    # Without a class list of the run a set has every class.
    with pytest.raises(UsageError, match="has nothing for cutlery and dishes"):
        Labels(desed, LabelSettings(target="clip"), JOINT)
    # A map of another set finds nothing but what is said never to be there.
    with pytest.raises(UsageError, match="has nothing for"):
        Labels(desed, LabelSettings(map="maestro_desed"), JOINT, partly=True)


def test_the_official_lists_and_map_agree() -> None:
    assert load_classes("desed").labels == DESED_CLASSES.labels
    assert JOINT.labels == (*DESED_CLASSES.labels, *load_classes("maestro"))
    assert set(load_classes("maestro_evaluated")) < set(load_classes("maestro"))
    aliases = load_class_map("maestro_desed")
    assert {c: s for c, s in aliases.items() if s != (c,)} == {
        "Dishes": ("cutlery and dishes",),
        "Dog": (),
        "Speech": ("people talking", "children voices", "announcement"),
    }
    assert set(aliases) - {"Dishes", "Dog", "Speech"} == set(load_classes("maestro"))


def test_a_map_shares_categories_where_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("shared: true\nclasses: {Speech: voice, Song: voice, Dog: []}\n")
    assert load_class_map(path) == {"Speech": ("voice",), "Song": ("voice",), "Dog": ()}


def test_a_batch_tells_which_classes_its_set_is_annotated_for(data_root: Path) -> None:
    classes = Vocabulary(("Bird", *reversed(LABELS)))
    reader = StreamReader(data_root, frontend_from(CONFIG), 0, classes=classes)
    plain = StreamReader(data_root, frontend_from(CONFIG), 0)
    of = {"set": "weak", "labels": {"target": "clip"}}
    settings = typed(of, StreamSettings, "data.streams.x")
    stream, alone = (r.read("x", 0, settings, ["weak", "synthetic"], None) for r in (reader, plain))
    at = np.array([0, 3, len(stream) - 1])
    batch, without = stream.read(at), alone.read(at)
    assert without.class_mask is None and without.clip_target is not None and batch.clip_target is not None
    assert batch.class_mask is not None and batch.class_mask.tolist() == [[False, True, True, True]] * 3
    assert torch.equal(batch.clip_target[:, 1:].flip(1), without.clip_target)
    assert not batch.clip_target[:, 0].any()
    assert torch.equal(stream.whole(torch.device("cpu")).class_mask[at], batch.class_mask)  # type: ignore[index]
    unlabelled = typed({"set": "weak", "labels": {"target": "none"}}, StreamSettings, "data.streams.u")
    nothing = reader.read("u", 1, unlabelled, ["weak"], None).read(at[:2])
    assert nothing.clip_target is None and nothing.class_mask is not None
    assert nothing.class_mask.tolist() == [[False, True, True, True]] * 2


def test_mixed_clips_are_annotated_for_what_both_are() -> None:
    setup = AugmentSetup(16000, FRONTEND.grid, "db_power", 0, Path(), ("a", "b", "c"))
    mask = torch.tensor([[True, True, False], [False, True, True]])
    batch = StreamBatch(torch.zeros(2, 4, 3), torch.full((2,), 4), torch.zeros(2, 3), class_mask=mask)
    step = Augmentations.from_section({"mixup": {"of": "features"}}, setup)
    for seed in range(20):
        mixed = step.on_features(batch, (seed, 0, 0, 0)).class_mask
        assert mixed is not None
        # With itself, or with the other one.
        assert all(row in ([False, True, False], own) for row, own in zip(mixed.tolist(), mask.tolist(), strict=True))
    assert mixed.dtype == torch.bool


def test_a_run_has_the_classes_of_its_list(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "four.txt").write_text("Cat\nBird\nDog\nAlarm\n")
    data = {
        "classes": str(tmp_path / "four.txt"),
        "streams": {"weak": {"set": "weak"}},
        "select": {"scenes": {"set": "synthetic", "folds": ["select"]}},
    }
    run = train(data_root, tmp_path / "run", data=data, training__steps=2)
    assert run.labels.labels == ("Cat", "Bird", "Dog", "Alarm")
    (mask,) = (stream.sets[0].targets.mask for stream in run.select.values())
    assert mask is not None and mask.tolist() == [True, False, True, True]
    before = plan(data_root, tmp_path, data=data).key
    assert plan(data_root, tmp_path, data=data).key == before
    (tmp_path / "four.txt").write_text("Cat\nBird\nAlarm\nDog\n")
    assert plan(data_root, tmp_path, data=data).key != before
