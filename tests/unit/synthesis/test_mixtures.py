"""Rendered tracks against the published formula, worked out here from the files with soundfile and numpy."""

import numpy as np
import pytest
import soundfile

from sedkit.core.errors import SedkitError
from sedkit.synthesis.mixtures import Recordings, RenderedMixtures, Studio
from sedkit.synthesis.plan import Mixture, MixturePlan, PlannedEvent, draw

from .mix_case import LABELS, RATE, events_dir, recordings, scenes_dir, table
from .test_plan import settings


def rms(x):
    return np.sqrt(np.mean(np.square(np.asarray(x, dtype=np.float64))))


def mono(path):
    x, rate = soundfile.read(path, always_2d=True)
    return x.mean(axis=1), rate


def rendered(plan):
    studio, files = Studio.of(plan), Recordings(plan)
    return [(m, files.of(m), studio.render(m, *files.of(m))) for m in plan.mixtures]


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    return events_dir(folder / "events"), scenes_dir(folder / "scenes")


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_a_published_mixture_is_that_of_its_formula(dirs, snr_db):
    for mixture, (scene, clips), tracks in rendered(draw(settings(mixtures=2, snr_db=snr_db), *dirs)):
        ground = mono(scene)[0]
        ground = ground / rms(ground)
        events = np.zeros(2 * RATE)
        for event, path in zip(mixture.events, clips, strict=True):
            x = mono(path)[0]
            n = min(len(x), round(0.4 * RATE))
            first = int(event.onset * RATE)
            events[first : first + n] = (x / rms(x) * 10 ** (snr_db / 20))[:n]
        peak = max(np.abs(events).max(), np.abs(ground).max())
        # Mean of the two channels, each below full scale; 16 bits.
        assert np.abs(tracks.mixture - (events + ground) / 2 / peak * 32767).max() < 0.51
        assert np.abs(tracks.scene - ground / 2 / peak * 32767).max() < 0.51


@pytest.mark.parametrize("snr", ["source", "excerpt"])
@pytest.mark.parametrize("placement", ["slots", "uniform"])
def test_levels_are_the_plans_within_a_tenth_of_a_db(dirs, snr, placement):
    wanted = settings(mixtures=4, snr=snr, snr_db=10.0, placement=placement)
    checked = 0
    for mixture, (_, clips), tracks in rendered(draw(wanted, *dirs)):
        for event, path, level in zip(mixture.events, clips, tracks.levels, strict=True):
            if sum(e.event_label == event.event_label for e in mixture.events) > 1:
                continue
            stem = tracks.stems[event.event_label].astype(float)
            excerpt = stem[level.start : level.end]
            assert not stem[: level.start].any()
            assert not stem[level.end :].any()
            x = mono(path)[0]
            # The excerpt's level tells by how much the recording was multiplied.
            of_source = rms(excerpt) * rms(x) / rms(x[: len(excerpt)])
            achieved = 20 * np.log10((of_source if snr == "source" else rms(excerpt)) / rms(tracks.scene))
            assert achieved == pytest.approx(10.0, abs=0.1)
            assert level.gain == pytest.approx(rms(excerpt) / 32768 / rms(x[: len(excerpt)]), rel=0.01)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("placement", ["slots", "uniform"])
def test_stems_and_scene_add_up_to_the_mixture(dirs, placement):
    for _, _, tracks in rendered(draw(settings(mixtures=6, placement=placement), *dirs)):
        parts = [tracks.scene, *tracks.stems.values()]
        difference = np.sum([x.astype(int) for x in parts], axis=0) - tracks.mixture
        assert np.abs(difference).max() <= (len(parts) + 1) / 2


def case(folder, signals, labels, events, snr="source"):
    """A plan of one mixture of 1 s over a quiet scene: of (row, onset, offset, source_start, snr_db)."""
    names = [f"{k}.wav" for k in range(len(signals))]
    seconds = recordings(folder / "events", names, signals)
    table(folder / "events", names, seconds, None, None, labels)
    ground = np.random.default_rng(5).normal(0, 0.01, RATE)
    table(folder / "scenes", ["s.wav"], recordings(folder / "scenes", ["s.wav"], [ground]))
    planned = tuple(PlannedEvent(names[row], labels[row], *times) for row, *times in events)
    mixture = Mixture("00000.wav", "1", "s.wav", "s.wav", 0.0, planned)
    return MixturePlan(folder / "events", folder / "scenes", 0, RATE, 1.0, snr, "grouped", (mixture,))


def test_events_that_cancel_leave_their_stems_whole(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)
    spans = [(0, 0.1, 0.6, 0.0, 40.0), (1, 0.1, 0.6, 0.0, 40.0)]
    ((_, _, tracks),) = rendered(case(tmp_path, [tone, -tone], ["Bark", "Cough"], spans))
    stem = tracks.stems["Bark"].astype(float)[800:4800]
    assert 32000 < np.abs(stem).max() <= 32767
    assert np.corrcoef(stem, tone)[0, 1] > 0.99999


def test_one_stem_holds_all_events_of_a_class_and_a_source_may_start_later(tmp_path):
    x = np.random.default_rng(6).normal(0, 0.1, 4000)
    spans = [(0, 0.0, 0.2, 0.25, 0.0), (0, 0.5, 0.7, 0.0, 0.0)]
    ((_, _, tracks),) = rendered(case(tmp_path, [x], ["Bark"], spans))
    stem = tracks.stems["Bark"].astype(float)
    assert list(tracks.stems) == ["Bark"]
    assert np.corrcoef(stem[:1600], x[2000:3600])[0, 1] > 0.9999
    assert np.corrcoef(stem[4000:5600], x[:1600])[0, 1] > 0.9999


def test_the_rate_is_the_plans(tmp_path):
    rng = np.random.default_rng(7)
    names = [f"{k}.wav" for k in range(4)]
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    events = table(tmp_path / "events", names, recordings(tmp_path / "events", names, [tone] * 4, 16000), label=LABELS)
    scenes = [rng.normal(0, 1e-3, 32000) for _ in names]
    scenes = table(tmp_path / "scenes", names, recordings(tmp_path / "scenes", names, scenes, 16000))
    plan = draw(settings(mixtures=1, snr_db=40.0), events, scenes)
    wave = RenderedMixtures(plan)[0]
    assert wave.dtype == np.float32
    assert len(wave) == 2 * RATE
    spectrum = np.abs(np.fft.rfft(wave[800:4000]))
    assert np.fft.rfftfreq(3200, 1 / RATE)[spectrum.argmax()] == pytest.approx(440)


def test_a_silent_clip_is_told(tmp_path):
    x = np.concatenate([np.zeros(2000), np.full(2000, 0.1)])
    plan = case(tmp_path, [x], ["Bark"], [(0, 0.1, 0.3, 0.0, 0.0)])
    ((_, _, tracks),) = rendered(plan)
    assert not tracks.stems["Bark"].any()
    with pytest.raises(SedkitError, match=r"events.wavs/0.wav: silent, so 00000.wav cannot have it 0 dB above"):
        rendered(case(tmp_path / "excerpt", [x], ["Bark"], [(0, 0.1, 0.3, 0.0, 0.0)], "excerpt"))
    soundfile.write(tmp_path / "scenes.wavs" / "s.wav", np.zeros(RATE), RATE)
    with pytest.raises(SedkitError, match=r"scenes.wavs/s.wav: silent"):
        rendered(plan)
