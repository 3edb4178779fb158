"""Streams of mixtures rendered on the fly; the judge is what `sedkit mix render` and `extract` leave on disk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_mixtures import FRONTEND, STREAM, groups, make_sounds, mix

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError
from sedkit.dataio.datadir import DataDir
from sedkit.features.extract import extract
from sedkit.features.frontends import features_path
from sedkit.features.normalise import Normalisation
from sedkit.features.sources import Waveforms
from sedkit.synthesis.mixture_set import render_plan
from sedkit.synthesis.mixtures import RenderedMixtures
from sedkit.synthesis.plan import MixSettings, MixturePlan, draw
from sedkit.synthesis.plan_file import read_plan, write_plan
from sedkit.synthesis.rounds import Rounds
from sedkit.training.batches import Batches
from sedkit.training.settings import StreamSettings
from sedkit.training.streams import Stream, StreamReader

SEED, PLACE = 3, 1


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sounds(tmp_path_factory.mktemp("sounds"))


def load(root: Path, changes: dict[str, Any] | None = None, settings: MixSettings | None = None) -> Stream:
    stream = typed(STREAM | (changes or {}), StreamSettings, "data.streams.mixed")
    reader = StreamReader(root, FRONTEND, SEED, settings or mix())
    return reader.read("mixed", PLACE, stream, [stream.set], stream.folds)


def plan_of(root: Path, number: int, settings: MixSettings | None = None) -> MixturePlan:
    """A round as `sedkit mix plan` gives it, with a seed made of what it is of; folds stand in the tables."""
    settings = settings or mix()
    (seed,) = np.random.SeedSequence([settings.seed, SEED, PLACE, number]).generate_state(1).tolist()
    return draw(replace(settings, seed=seed), *(DataDir(root / name) for name in (settings.events, settings.scenes)))


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("placement", ["slots", "uniform"])
@pytest.mark.parametrize("target", ["clip", "frame"])
def test_windows_are_those_of_the_rendered_plan(
    sounds: Path, tmp_path: Path, number: int, placement: str, target: str
) -> None:
    settings = mix(placement=placement)
    write_plan(tmp_path / "plan.yaml", plan_of(sounds, number, settings))
    render_plan(tmp_path / "plan.yaml", read_plan(tmp_path / "plan.yaml"), tmp_path / "rendered")
    data = DataDir(tmp_path / "rendered")
    extract(data, FRONTEND, features_path(data.path, FRONTEND))
    streams = []
    for source in ("features", "waveforms"):
        rendered = StreamSettings("rendered", STREAM["folds"], source=source)
        reader = StreamReader(tmp_path, FRONTEND, 0)
        rendered = replace(rendered, labels=replace(rendered.labels, target=target))
        streams.append(reader.read("x", 0, rendered, ["rendered"], STREAM["folds"]))
    stream = load(sounds, {"labels": {"target": target}}, settings)
    assert len(stream) == len(streams[0]) == 10
    at = np.array([7, 0, 3, 9, 1])
    mixed, (stored, recordings) = stream.read(at + number * 10), (s.read(at) for s in streams)
    assert torch.equal(mixed.features, recordings.features)
    torch.testing.assert_close(mixed.features, stored.features, atol=1e-3, rtol=0)
    assert torch.equal(mixed.clip_target, stored.clip_target)
    assert torch.equal(mixed.n_frames, stored.n_frames)
    assert mixed.clip_target.sum() >= 5
    if target == "frame":
        assert torch.equal(mixed.frame_target, stored.frame_target)
        assert mixed.frame_target.any(dim=1).sum() == mixed.clip_target.sum()
    else:
        assert mixed.frame_target is None


def test_each_round_has_other_mixtures_and_so_has_each_stream_and_seed(sounds: Path) -> None:
    data = DataDir(sounds / "events/verified"), DataDir(sounds / "scenes")
    seen = set()
    for seed in ((3, 1), (3, 2), (4, 1)):
        rounds = Rounds(mix(), *data, STREAM["folds"], seed)
        for number in (0, 1, 2, 1):
            seen.add(rounds.plan(number).mixtures)
    seen.add(Rounds(mix(seed=8), *data, STREAM["folds"], (3, 1)).plan(0).mixtures)
    assert len(seen) == 10
    stream, at = load(sounds), np.arange(10)
    first, second = stream.read(at), stream.read(at + 10)
    assert not any(torch.equal(a, b) for a, b in zip(first.features, second.features, strict=True))
    assert not torch.equal(first.clip_target, second.clip_target)


@pytest.mark.parametrize("places", [True, False])
def test_what_other_folds_hold_is_never_heard(tmp_path: Path, places: bool) -> None:
    """Over many rounds; where scenes have no folds, they are those of `sedkit mix plan`, whatever the round."""
    root = make_sounds(tmp_path, places)
    events, scenes = DataDir(root / "events/verified"), DataDir(root / "scenes")
    of_event, of_scene = groups(events), {}
    for mixture in draw(mix(mixtures=40), events, scenes).mixtures:
        of_scene.setdefault(mixture.fold, set()).add(mixture.scene_group)
    if places:
        assert of_scene == groups(scenes)
    assert len(set.union(*of_scene.values())) == sum(map(len, of_scene.values())) == 6
    takes = dict(zip(events.clips.filename, events.clips.group or (), strict=True))
    rounds = Rounds(mix(), events, scenes, ["1", "3-select"], (SEED, PLACE))
    heard: dict[str, set[str]] = {"events": set(), "scenes": set()}
    for number in range(12):
        for mixture in rounds.plan(number).mixtures:
            heard["events"] |= {takes[event.event_audio_name] for event in mixture.events}
            heard["scenes"].add(mixture.scene_group)
    assert heard["events"] == of_event["1"] | of_event["3-select"]
    assert heard["scenes"] == of_scene["1"] | of_scene["3-select"]
    # And that is what is said of the stream where another one must not have the same clips.
    place_of = dict(zip(scenes.clips.filename, scenes.clips.group or (), strict=True))
    told = load(root, {"folds": ["1", "3-select"]}).clips()
    assert {takes[name] for data, name in told if data == "verified"} == heard["events"]
    assert {place_of[name] for data, name in told if data == "scenes"} == heard["scenes"]


def batches(stream: Stream) -> Batches:
    chain = Normalisation.from_section({"zscore": {}}, 16)
    chain.fit(stream.blocks)
    return Batches({"mixed": stream}, {"mixed": 4}, SEED, chain, torch.device("cpu"))


AUGMENTED = {
    "labels": {"target": "frame"},
    "augment": {
        "gain": {"level_db": [-9, 0]},
        "noise": {"snr_db": [0, 10]},
        "speed": {"factor": [0.8, 1.2]},
        "time_shift": {"most_s": 0.5},
        "mixup": {"of": "features", "probability": 0.5},
    },
}


@pytest.mark.parametrize("changes", [{}, AUGMENTED, {"window": {"length_s": 0.5}}])
def test_a_step_on_its_own_sees_what_it_saw_in_its_turn(sounds: Path, changes: dict[str, Any]) -> None:
    """Ten mixtures a round, four a step: step 2 begins in one round and ends in the next."""
    whole = [step.view(None)["mixed"] for step in batches(load(sounds, changes)).iterate(0, 9)]
    for first in (2, 7):
        for step, windows in zip(batches(load(sounds, changes)).iterate(first, 9), whole[first:], strict=True):
            again = step.view(None)["mixed"]
            assert torch.equal(again.features, windows.features)
            assert torch.equal(again.clip_target, windows.clip_target)
            assert (again.frame_target is None) == (changes is not AUGMENTED)
            assert again.frame_target is None or torch.equal(again.frame_target, windows.frame_target)


def test_a_round_is_over_when_every_mixture_was_seen(sounds: Path) -> None:
    stream = load(sounds)
    steps = torch.cat([batches(stream).read(step)["mixed"].features for step in range(5)])
    for number in (0, 1):
        of_round = stream.read(np.arange(10) + number * 10).features
        seen = steps[number * 10 : number * 10 + 10]
        assert sorted(x.numpy().tobytes() for x in seen) == sorted(x.numpy().tobytes() for x in of_round)


def test_normalisation_is_fitted_on_the_first_round(sounds: Path) -> None:
    chain = Normalisation.from_section({"zscore": {}}, 16)
    chain.fit(load(sounds).blocks)
    plan = plan_of(sounds, 0)
    waveforms = RenderedMixtures(replace(plan, mixtures=tuple(m for m in plan.mixtures if m.fold in STREAM["folds"])))
    features = FRONTEND.transform(np.stack(list(waveforms))).reshape(-1, 16).astype(np.float64)
    np.testing.assert_allclose(chain.state_dict()["zscore"]["mean"].numpy().ravel(), features.mean(axis=0), rtol=1e-4)


def test_windows_shorter_than_a_mixture_have_the_classes_that_sound_in_them(sounds: Path) -> None:
    stream = load(sounds, {"window": {"length_s": 0.5}})
    plan = plan_of(sounds, 1)
    mixture = plan.mixtures[0]
    assert len(stream) == 40 and isinstance(stream.sets[0].source, Waveforms)
    target = stream.read(40 + np.arange(4)).clip_target
    for k, row in enumerate(target):
        sounding = {e.event_label for e in mixture.events if e.onset < 0.5 * k + 0.5 and e.offset > 0.5 * k}
        assert {("Bark", "Chime", "Cough", "Flute")[c] for c in np.flatnonzero(row)} == sounding


def test_a_map_gives_classes_of_ones_own(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("classes: {Animal: [Bark, Cough], Bell: Chime}\n")
    mapped = load(sounds, {"labels": {"map": str(tmp_path / "map.yaml")}}).read(np.arange(10, 20)).clip_target
    plain = load(sounds).read(np.arange(10, 20)).clip_target
    assert torch.equal(mapped, torch.stack([plain[:, [0, 2]].amax(dim=1), plain[:, 1]], dim=1))


def test_a_set_that_joins_stays_what_it_is(sounds: Path) -> None:
    """Recordings as they are, beside mixtures that are not: as validation joins every labelled stream."""
    shutil.copytree(sounds / "events/verified", sounds / "events/joined", dirs_exist_ok=True)
    stream = typed(STREAM, StreamSettings, "data.streams.mixed")
    reader = StreamReader(sounds, FRONTEND, SEED, mix())
    both = reader.read("mixed", PLACE, stream, [stream.set, "events/joined"], stream.folds)
    assert len(both) == 10 + 24
    first, second = (both.read(np.array([12, 3, 33]) + number * 34) for number in (0, 1))
    alone = load(sounds).read(np.array([3, 13]))
    for row, batch in zip(alone.features, (first, second), strict=True):
        assert torch.equal(batch.features[1], row)
    assert torch.equal(first.features[[0, 2]], second.features[[0, 2]])
    assert first.clip_target[[0, 2]].argmax(dim=1).tolist() == [2, 3], "clips 2 and 23 of labels in turn"


def test_a_fold_without_mixtures_is_told(sounds: Path) -> None:
    with pytest.raises(SedkitError, match=r"verified/clips.tsv: fold 2 gets no mixtures, expected one of 1 .mix.mix"):
        load(sounds, settings=mix(mixtures={"1": 4}))
