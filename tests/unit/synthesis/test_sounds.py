import numpy as np
import pytest

from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.synthesis import instruments, sounds
from sedkit.synthesis.backgrounds import HOME, PLAIN
from sedkit.synthesis.render import Placed, Room, mix
from sedkit.synthesis.signals import rms

RATE = 44100
ALL = {**sounds.DOMESTIC, **sounds.OTHER}


def _event(label, seed=0, seconds=1.0):
    parameters = ALL[label].draw(np.random.default_rng(seed))
    return sounds.render_event(ALL[label], parameters, np.random.default_rng(seed + 1), int(seconds * RATE), RATE)


def test_there_is_a_source_for_each_class():
    assert tuple(sounds.DOMESTIC) == DESED_CLASSES.labels


@pytest.mark.parametrize("label", ALL)
def test_a_source_renders_any_length(label):
    for seconds in (0.25, 1.0):
        x = _event(label, seconds=seconds)
        assert x.shape == (int(seconds * RATE),)
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert rms(x) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("label", ALL)
def test_parameters_vary_between_sources_and_rendering_is_a_function_of_its_seeds(label):
    first, second = (ALL[label].draw(np.random.default_rng(seed)) for seed in (1, 2))
    assert first.keys() == second.keys()
    assert first != second
    assert all(isinstance(value, float) for value in first.values())
    np.testing.assert_array_equal(_event(label, 3, 0.3), _event(label, 3, 0.3))


@pytest.mark.parametrize("kinds", [sounds.DOMESTIC, sounds.OTHER], ids=["domestic", "other"])
def test_classes_are_spectrally_distinct(kinds):
    """A nearest-centroid rule on mean band levels tells most unseen sources apart, with ten sources to learn from."""
    edges = np.geomspace(60, 16000, 25)

    def bands(x):
        spectra = np.abs(np.fft.rfft(x[: len(x) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048), axis=1)) ** 2
        which = np.digitize(np.fft.rfftfreq(2048, 1 / RATE), edges)
        level = np.stack([spectra[:, which == k].mean(axis=1) for k in range(1, 25)], axis=1)
        level = 10 * np.log10(level / level.max() + 1e-5)
        return np.concatenate([level.mean(axis=0), level.std(axis=0)])

    known = [np.stack([bands(_event(c, s)) for s in range(10)]) for c in kinds]
    spread = np.concatenate([k - k.mean(axis=0) for k in known]).std(axis=0)
    centres = np.stack([k.mean(axis=0) for k in known])
    right = [
        int(np.argmin((((bands(_event(c, s)) - centres) / spread) ** 2).sum(axis=1)) == i)
        for i, c in enumerate(kinds)
        for s in range(100, 104)
    ]
    assert np.mean(right) > 0.7


def test_a_struck_body_rings_at_its_pitch_and_dies_away():
    parameters = instruments.GLOCKENSPIEL.draw(np.random.default_rng(0)) | {"strokes_per_s": 0.1}
    x = instruments.GLOCKENSPIEL.render(parameters, np.random.default_rng(1), RATE, RATE)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(RATE)))
    assert np.argmax(spectrum) == pytest.approx(parameters["pitch_hz"], abs=2)
    # The lowest mode outlasts the others: within one decay the level falls by 1/e, 8.7 dB.
    decay = parameters["decay_s"]
    early, late = (x[int((t) * RATE) : int((t + 0.1) * RATE)] for t in (0.4, 0.4 + 0.4 * decay))
    assert 20 * np.log10(rms(early) / rms(late)) == pytest.approx(0.4 * 8.7, abs=0.7)


def test_a_clarinet_has_odd_harmonics():
    parameters = instruments.CLARINET.draw(np.random.default_rng(0)) | {"notes_per_s": 0.1, "vibrato": 0.0}
    x = instruments.CLARINET.render(parameters, np.random.default_rng(1), RATE, RATE)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(RATE)))
    first = int(np.argmax(spectrum))
    step = 12 * np.log2(first / parameters["pitch_hz"])
    assert step == pytest.approx(round(step), abs=0.1)
    level = [20 * np.log10(spectrum[k * first - 5 : k * first + 6].max()) for k in (1, 2, 3, 4, 5)]
    assert min(level[0], level[2], level[4]) > max(level[1], level[3]) + 10


@pytest.mark.parametrize("family", [HOME, PLAIN])
def test_backgrounds(family):
    place = family.draw(np.random.default_rng(0))
    x = family.render(place, np.random.default_rng(1), RATE, RATE)
    assert x.shape == (RATE,)
    assert rms(x) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(x, family.render(place, np.random.default_rng(1), RATE, RATE))


def test_mix_keeps_the_level_of_event_over_background():
    rng = np.random.default_rng(0)
    background = rng.standard_normal(RATE).astype(np.float32)
    event = Placed(np.sin(np.arange(RATE // 2) / 5).astype(np.float32) * np.float32(np.sqrt(2)), RATE // 4, 10.0)
    clip = mix([event], background, Room(), rng, RATE, 0.01)
    assert clip.shape == (RATE,)
    residue = clip - background * np.float32(0.01 / rms(background))
    inside = slice(RATE // 4, RATE // 4 + RATE // 2)
    assert 20 * np.log10(rms(residue[inside]) / 0.01) == pytest.approx(10.0, abs=0.1)
    assert np.abs(residue[: RATE // 4]).max() < 1e-6


def test_mix_never_passes_full_scale():
    rng = np.random.default_rng(0)
    background = rng.standard_normal(RATE).astype(np.float32)
    clip = mix([Placed(np.ones(RATE, dtype=np.float32), 0, 60.0)], background, Room(), rng, RATE, 0.5)
    assert np.abs(clip).max() == pytest.approx(0.98, abs=1e-4)


def test_a_room_adds_a_tail_and_colours_the_clip():
    rng = np.random.default_rng(0)
    click = np.zeros(100, dtype=np.float32)
    click[0] = 1.0
    quiet = np.full(RATE, 1e-4, dtype=np.float32)
    room = Room(0.3, 0.5, ([50, 1000, 4000, 20000], [0, 0, -40, -40]))
    clip = mix([Placed(click, 1000, 80.0)], quiet, room, rng, RATE, 1e-4)
    wet = mix([Placed(click, 1000, 80.0)], quiet, Room(0.3, 0.5), np.random.default_rng(0), RATE, 1e-4)
    tail = wet[1000 + RATE // 10 : 1000 + RATE // 5] - 1e-4
    assert rms(tail) > 10 * rms(wet[:900] - 1e-4)
    spectrum, flat = np.abs(np.fft.rfft(clip)), np.abs(np.fft.rfft(wet))
    assert spectrum[8000:12000].mean() < 0.05 * flat[8000:12000].mean()
