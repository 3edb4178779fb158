import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_data import config

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.datasets.maps import load_class_map
from sedkit.features.chunk_settings import ChunkSettings, WaveAugment
from sedkit.features.extract import default_output, extract
from sedkit.features.logmel import LogMel
from sedkit.features.melpower import MelPower
from sedkit.training.batches import Batches, Sampler
from sedkit.training.chunks import load_chunk_stream, quiet_stretches
from sedkit.training.plan import make_plan
from sedkit.training.settings import StreamSettings, data_settings

RATE = 16000
FRONTEND = LogMel(
    sample_rate=RATE,
    n_fft=512,
    hop_samples=160,
    n_mels=16,
    fmin_hz=0.0,
    fmax_hz=None,
    window_symmetric=False,
    clip_s=None,
)
CATEGORIES = ("dog", "cat", "pouring_water", "vacuum_cleaner", "clock_alarm", "rain")
FIVE = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of tagged clips (the first one half silence) and one of soundscapes with events."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    names = tuple(f"{1 + i % 5}-{i}-A.wav" for i in range(6))
    for i, name in enumerate(names):
        wave = (0.1 * rng.standard_normal(3 * RATE)).astype(np.float32)
        if i == 0:
            wave[round(1.2 * RATE) :] = 0.0
        write_wav(root / "audio" / name, wave, RATE)
    audio = tuple(str(root / "audio" / name) for name in names)
    clips = Clips(names, audio, np.full(6, 3.0), tuple(name[0] for name in names), names)
    tags = Tags(names, CATEGORIES, np.eye(6, dtype=bool))
    write_datadir(root / "source" / "esc50", clips, Vocabulary(CATEGORIES), weak=tags)
    scenes = ("x.wav", "y.wav")
    for name in scenes:
        write_wav(root / "audio" / name, (0.05 * rng.standard_normal(4 * RATE)).astype(np.float32), RATE)
    labels = ("Speech", *FIVE)
    events = Events.from_rows(
        [("x.wav", 0.5, 1.5, "Speech"), ("x.wav", 1.0, 2.25, "Dog"), ("y.wav", None, None, None)], labels
    )
    audio = tuple(str(root / "audio" / name) for name in scenes)
    write_datadir(
        root / "target" / "synthetic", Clips(scenes, audio, np.full(2, 4.0)), Vocabulary(labels), strong=events
    )
    for part in ("source/esc50", "target/synthetic"):
        extract(DataDir(root / part), FRONTEND, root / part / "features.h5")
    return root


def load(
    data_root: Path, chunks: ChunkSettings, part: str = "source/esc50", frontend=FRONTEND, labels=None, folds=None
):
    stream = StreamSettings(part, chunks=chunks)
    features = None if chunks.needs_waves(frontend.name) else data_root / part / "features.h5"
    return load_chunk_stream("test", data_root, stream, folds, frontend, features, labels)


def test_chunks_of_mapped_categories_become_the_classes(data_root: Path) -> None:
    stream, labels = load(data_root, ChunkSettings(class_map="esc50_desed", silence_db=0.0))
    assert labels.labels == FIVE
    assert len(stream) == 5 * 21
    batch = stream.take(np.array([0, 21]))
    assert batch.features.shape == (2, 100, 16)
    assert batch.n_frames.tolist() == [100, 100]
    assert batch.clip_target.tolist() == [[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert batch.frame_target is None


def test_other_categories_are_examples_of_nothing(data_root: Path) -> None:
    stream, _ = load(data_root, ChunkSettings(class_map="esc50_desed", silence_db=0.0, others=True))
    assert len(stream) == 6 * 21
    assert not stream.take(np.array([125])).clip_target.any()


def test_padding_is_left_out_and_kept_on_request(data_root: Path) -> None:
    for frontend in (FRONTEND, MelPower(sample_rate=RATE, n_fft=512, hop_samples=160, n_mels=16)):
        stream, _ = load(data_root, ChunkSettings(class_map="esc50_desed"), frontend=frontend)
        starts = stream.chunks.start_s[stream.chunks.clip == 0]
        # The first clip falls silent at 1.2 s; a chunk that begins later holds only zeros.
        assert starts.max() == pytest.approx(1.2 if frontend is FRONTEND else 1.1)
        assert (np.bincount(stream.chunks.clip)[1:] == 21).all()


def test_folds_keep_clips_apart(data_root: Path) -> None:
    chunks = ChunkSettings(class_map="esc50_desed")
    one, labels = load(data_root, chunks, folds=["1", "2"])
    other, _ = load(data_root, chunks, folds=["3", "4", "5"], labels=labels)
    assert one.clip_keys() and other.clip_keys() and not one.clip_keys() & other.clip_keys()


def test_soundscapes_take_the_classes_of_the_run(data_root: Path) -> None:
    stream, _ = load(
        data_root, ChunkSettings(hop_s=0.5, least_s=0.3, silence_db=0.0), "target/synthetic", labels=Vocabulary(FIVE)
    )
    assert len(stream) == 2 * 7
    dog = stream.take(np.arange(7)).clip_target[:, 2].tolist()
    assert dog == [0, 1, 1, 1, 0, 0, 0]
    assert not stream.take(np.arange(7)).clip_target[:, [0, 1, 3, 4]].any()


def test_waves_that_are_not_changed_give_the_sliced_features(data_root: Path) -> None:
    plain, _ = load(data_root, ChunkSettings(class_map="esc50_desed", silence_db=0.0))
    noise = WaveAugment(noise_snr_db=[60.0, 60.0])
    noisy = ChunkSettings(class_map="esc50_desed", silence_db=0.0, augment=noise)
    cut, _ = load(data_root, noisy)
    rows = np.arange(len(plain))[::7]
    assert plain.chunks.start_s.tolist() == cut.chunks.start_s.tolist()
    torch.testing.assert_close(plain.take(rows).features, cut.take(rows).features, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"gain_db": [-30.0, 0.0]},
        {"noise_snr_db": [0.0, 10.0]},
        {"speed": [0.8, 0.9]},
        {"pitch_semitones": [2.0]},
        {"background_set": "target/synthetic"},
        {"mixup_alpha": 0.5, "mixup_hard": True},
    ],
)
def test_changes_are_drawn_from_the_generator_alone(data_root: Path, change) -> None:
    settings = ChunkSettings(class_map="esc50_desed", augment=WaveAugment(probability=1.0, **change))
    stream, _ = load(data_root, settings)
    rows = np.array([0, 22, 44, 66])
    first, again, other, none = (
        stream.take(rows, rng=rng)
        for rng in (np.random.default_rng(3), np.random.default_rng(3), np.random.default_rng(4), None)
    )
    assert torch.equal(first.features, again.features) and torch.equal(first.clip_target, again.clip_target)
    assert not torch.equal(first.features, other.features) or "pitch_semitones" in change
    assert not torch.equal(first.features, none.features)
    assert ((first.clip_target >= none.clip_target) & (first.clip_target <= 1)).all()
    assert (first.clip_target.sum() > 4) == ("mixup_alpha" in change)


def test_a_step_can_be_done_again(data_root: Path) -> None:
    settings = ChunkSettings(class_map="esc50_desed", augment=WaveAugment(noise_snr_db=[0.0, 10.0]))
    stream, _ = load(data_root, settings)
    scaler = _identity()
    batches = Batches({"esc50": stream}, {"esc50": 4}, 7, scaler, torch.device("cpu"))
    late = list(batches.iterate(0, 3))[2]["esc50"].features
    assert torch.equal(late, next(iter(batches.iterate(2, 3)))["esc50"].features)
    assert isinstance(batches.samplers["esc50"], Sampler)


def _identity():
    from sedkit.models.scaler import no_scaler

    return no_scaler(16)


def test_blocks_do_not_overlap(data_root: Path) -> None:
    stream, _ = load(data_root, ChunkSettings(class_map="esc50_desed", silence_db=0.0))
    blocks = list(stream.blocks())
    assert sum(len(features) for features, _ in blocks) == 5 * 3


def test_quiet_stretches_hold_no_event(data_root: Path) -> None:
    found = quiet_stretches(DataDir(data_root / "target/synthetic"), RATE, 1.0)
    assert sorted(round(len(x) / RATE, 2) for x in found) == [1.75, 4.0]
    with pytest.raises(SedkitError, match="no stretch of 5.00 s"):
        quiet_stretches(DataDir(data_root / "target/synthetic"), RATE, 5.0)
    with pytest.raises(UsageError, match="has no events"):
        quiet_stretches(DataDir(data_root / "source/esc50"), RATE, 1.0)


def test_errors_name_what_is_wrong(data_root: Path) -> None:
    with pytest.raises(SedkitError, match="whole number"):
        load(data_root, ChunkSettings(class_map="esc50_desed"), frontend=replace(FRONTEND, hop_samples=512))
    with pytest.raises(UsageError, match="has nothing for Alarm_bell_ringing"):
        load(data_root, ChunkSettings(), labels=Vocabulary(FIVE))
    with pytest.raises(UsageError, match="class map esc50_desed gives"):
        load(data_root, ChunkSettings(class_map="esc50_desed"), labels=Vocabulary(("Dog", "Speech")))
    with pytest.raises(UsageError, match="the lower one first"):
        data_settings({"streams": {"a": {"set": "b", "chunks": {"augment": {"speed": [1.2, 0.9]}}}}})
    with pytest.raises(UsageError, match="unknown key|not an? (accepted|expected)|is not expected|class_mapp"):
        data_settings({"streams": {"a": {"set": "b", "chunks": {"class_mapp": "x"}}}})


def test_changed_recordings_behind_waveforms_are_noticed_and_touched_ones_are_not(
    data_root: Path, tmp_path: Path
) -> None:
    """Of the stream that cuts waveforms, and of the set whose quiet stretches are mixed in."""
    root = tmp_path / "data"
    shutil.copytree(data_root, root)
    for part in ("source/esc50", "target/synthetic"):
        table = (root / part / "clips.tsv").read_text()
        (root / part / "clips.tsv").write_text(table.replace(str(data_root), str(root)))
        extract(DataDir(root / part), FRONTEND, default_output(DataDir(root / part), FRONTEND))
    class_map = tmp_path / "map.yaml"
    sources = {name: list(sources) for name, sources in load_class_map("esc50_desed").items()}
    write_yaml(class_map, {"classes": sources})
    chunks = {"class_map": str(class_map), "augment": {"background_set": "target/synthetic"}}
    stream = {"set": "source/esc50", "folds": ["1", "2"], "chunks": chunks}
    select = {"set": "source/esc50", "folds": ["3"], "chunks": {"class_map": str(class_map)}}
    sections = config(data={"streams": {"a": stream}, "select": {"a": select}}, frontend=FRONTEND.as_dict())
    write_yaml(tmp_path / "c.yaml", sections)

    def key() -> str:
        return make_plan(tmp_path / "c.yaml", [], root, tmp_path / "exp").key

    first = key()
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert key() == first
    seen = [first]
    for name in ("1-0-A.wav", "x.wav"):
        content = (root / "audio" / name).read_bytes()
        (root / "audio" / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        seen.append(key())
    class_map.write_text(class_map.read_text() + "# other bytes\n")
    seen.append(key())
    assert len(set(seen)) == 4
