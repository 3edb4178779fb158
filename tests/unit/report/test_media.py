"""Sound, spectrogram and curves of a page: read back by other libraries."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import pytest
import soundfile
from matplotlib import image as pictures

from sedkit.dataio.scores import Scores
from sedkit.features.frontends.logmel import LogMel
from sedkit.report.html import script_json
from sedkit.report.media import curves, frequency_marks, png, scale_of, shades, sound, usual_frontend

LABELS = ("Alarm", "Cat", "Dog")


def tone(rate: int, seconds: float = 3.0) -> np.ndarray:
    """1 kHz in the second half, quiet noise throughout."""
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).normal(0, 1e-3, len(t))
    return (noise + np.where(t >= seconds / 2, 0.5 * np.sin(2 * np.pi * 1000 * t), 0.0)).astype(np.float32)


@pytest.mark.parametrize(("vorbis", "mime", "rate"), [(True, "audio/ogg", 16000), (False, "audio/wav", 8000)])
def test_sound_is_as_long_and_has_its_tone_where_it_was(vorbis: bool, mime: str, rate: int) -> None:
    made = sound(tone(32000), 32000, vorbis)
    x, got = soundfile.read(io.BytesIO(made.content))
    assert (made.mime, got) == (mime, rate)
    assert len(x) / rate == pytest.approx(3.0, abs=0.005)
    assert np.abs(np.fft.rfft(x[2 * rate : 3 * rate])).argmax() == pytest.approx(1000, abs=2)
    loud = np.flatnonzero(np.abs(x) > 0.1)
    assert loud[0] / rate == pytest.approx(1.5, abs=0.02)
    assert len(made.content) < 0.4 * 2 * len(x) or not vorbis


def test_low_rates_stay_and_what_is_too_loud_is_cut() -> None:
    made = sound(3 * tone(8000), 8000, False)
    x, rate = soundfile.read(io.BytesIO(made.content))
    assert rate == 8000 and x.max() <= 1.0 and (x > 0.99).mean() > 0.1


def test_a_long_recording_does_not_break_the_encoder() -> None:
    made = sound(np.tile(tone(16000), 40), 16000, True)
    assert soundfile.info(io.BytesIO(made.content)).duration == pytest.approx(120.0, abs=0.05)


def test_a_png_has_the_colours_of_its_shades() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(4, 16)
    picture = pictures.imread(io.BytesIO(png(image)))
    expected = matplotlib.colormaps["magma"](np.linspace(0, 1, 64))[image][..., :3]
    np.testing.assert_allclose(picture[..., :3], expected, atol=1 / 255)


def test_the_tone_is_light_at_its_height_and_time() -> None:
    frontend = usual_frontend()
    image = shades(frontend, tone(16000))
    assert image.shape == (64, 150) and image.dtype == np.uint8 and image.max() == 63
    row = image[:, 100].argmax()
    (at,) = [place for hz, place in frequency_marks(frontend) if hz == 1000]
    assert 1 - (row + 0.5) / 64 == pytest.approx(at, abs=1 / 64)
    assert (image[row, 78:148] > 55).all() and (image[row, :72] < 30).all()


@pytest.mark.parametrize(("log", "spectrum"), [("ln", "magnitude"), ("none", "power"), ("db", "power")])
def test_shades_are_decibels_whatever_the_scale_of_the_front_end(log: str, spectrum: str) -> None:
    of = {"sample_rate": 16000, "n_fft": 1024, "hop_samples": 320, "n_mels": 32, "fmax_hz": None}
    floor = 1e-10 if spectrum == "power" else 1e-5
    reference = LogMel(**of, log="db", spectrum=spectrum, floor=floor)
    image = shades(LogMel(**of, log=log, spectrum=spectrum, floor=floor), tone(16000))
    np.testing.assert_allclose(image.astype(int), shades(reference, tone(16000)).astype(int), atol=1)


def test_long_recordings_have_at_most_640_columns() -> None:
    image = shades(usual_frontend(), np.tile(tone(16000), 10))
    # 1500 frames: three in each.
    assert image.shape == (64, 500)


def scores(framewise: np.ndarray) -> Scores:
    n = len(framewise)
    return Scores(framewise[None], np.array([n]), np.array([n / 50]), np.arange(n + 1) / 50, ("a.wav",), LABELS)


def test_curves_are_quantised_to_half_a_step() -> None:
    framewise = np.random.default_rng(0).uniform(0, 1, (200, 3)).astype(np.float32)
    made = curves(scores(framewise), 0, LABELS, set())
    assert made.labels == [0, 1, 2] and (made.low, made.high) == (0.0, 1.0)
    np.testing.assert_allclose(made.levels.T / 255, framewise, atol=0.5 / 255 + 1e-7)
    np.testing.assert_allclose(made.edges_s, np.arange(201) / 50, atol=1e-4)
    script_json(made._replace(levels=[]))


def test_of_many_frames_each_point_is_the_highest_of_several() -> None:
    framewise = np.zeros((1000, 3), dtype=np.float32)
    framewise[401, 1] = 1.0
    made = curves(scores(framewise), 0, LABELS, {1})
    assert made.levels.shape == (1, 250) and np.flatnonzero(made.levels[0]).tolist() == [100]
    assert made.edges_s[100:102] == [8.0, 8.08] and made.edges_s[-1] == 20.0


def test_classes_with_events_and_with_high_scores_have_curves() -> None:
    framewise = np.full((10, 3), 0.1, dtype=np.float32)
    framewise[5, 2] = 0.4
    assert curves(scores(framewise), 0, LABELS, set()).labels == [2]
    assert curves(scores(framewise), 0, LABELS, {0}).labels == [0, 2]
    nothing = curves(scores(np.full((300, 3), 0.1, dtype=np.float32)), 0, LABELS, set())
    assert nothing.labels == [] and nothing.levels.size == 0
    # Classes that the scores do not know have none.
    assert curves(scores(framewise), 0, ("Siren", "Dog"), {0}).labels == [1]


def test_the_scale_is_that_of_the_highest_scores_in_tenths() -> None:
    low = np.full((10, 3), 0.02, dtype=np.float32)
    assert scale_of([scores(low)]) == (0.0, 0.1)
    assert scale_of([scores(low), scores(low + 0.23)]) == (0.0, 0.3)
    assert scale_of([scores(low + 0.98)]) == (0.0, 1.0) and scale_of([]) == (0.0, 1.0)
    # A class is high on the scale of its system.
    made = curves(scores(low + np.array([0.0, 0.05, 0.0], dtype=np.float32)), 0, LABELS, set(), (0.0, 0.1))
    assert made.labels == [1] and abs(int(made.levels[0, 0]) - 0.07 / 0.1 * 255) <= 0.51


def test_logits_have_a_scale_of_their_own() -> None:
    framewise = np.linspace(-6, 4, 30).reshape(10, 3).astype(np.float32)
    scale = scale_of([scores(framewise)])
    made = curves(scores(framewise), 0, LABELS, {0, 1, 2}, scale)
    assert (made.low, made.high) == scale == (-6.0, 4.0)
    np.testing.assert_allclose(made.low + made.levels.T / 255 * 10, framewise, atol=5 / 255 + 1e-6)
