"""A tone of 1 kHz from 2 s to 4 s is drawn at 1 kHz from 2 s to 4 s."""

from __future__ import annotations

import dataclasses
import io

import librosa
import numpy as np
import pytest
from matplotlib import image as pictures
from networks import SLICED
from tone_case import FRAMES, RATE, at, bars, named, noise, tone

from sedkit.features.frontends.logmel import LogMel
from sedkit.features.separation import Separator
from sedkit.report.figures import save
from sedkit.report.masks import masks
from sedkit.report.panels import new_figure, over_bins
from sedkit.report.subject import Subject
from sedkit.report.waveform import ideal_ratio_mask, magnitudes, waveform

WINDOW = np.hanning(256)


def librosa_magnitudes(x: np.ndarray) -> np.ndarray:
    stft = librosa.stft(x.astype(np.float32), n_fft=256, hop_length=80, window=WINDOW, center=True, pad_mode="constant")
    return np.abs(stft).T


def test_spectrograms_are_librosas_and_0_db_is_a_sine_of_full_scale() -> None:
    expected = librosa_magnitudes(tone() + noise()) * 2 / WINDOW.sum()
    # One more frame at either end touches the recording.
    drawn = magnitudes(SLICED, (tone() + noise()).astype(np.float32))[1:-1]
    np.testing.assert_allclose(drawn, expected[: len(drawn)], atol=1e-6)
    assert len(expected) - len(drawn) <= 1
    assert 20 * np.log10(drawn.max()) == pytest.approx(-6.02, abs=0.2)


def test_the_ideal_mask_is_what_the_events_are_of_all_magnitudes(subject: Subject) -> None:
    e, s = (librosa_magnitudes(subject.stems[name]) for name in ("Dog", "scene"))
    drawn = ideal_ratio_mask(subject)[1:-1]
    np.testing.assert_allclose(drawn, (e / (e + s))[: len(drawn)], atol=5e-3)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("sample", [0, 3001, 7999])
def test_frames_are_drawn_around_what_they_hear_best(centre: bool, sample: int) -> None:
    frontend = dataclasses.replace(SLICED, centre=centre)
    click = np.zeros(8000, dtype=np.float32)
    click[sample] = 1.0
    loudest = magnitudes(frontend, click).sum(axis=1).argmax()
    assert abs(Separator(frontend).centres_s(8000)[loudest] - sample / RATE) <= 40 / RATE + 1e-9


def test_silence_has_no_ideal_mask(subject: Subject) -> None:
    nothing = {name: np.zeros_like(x) for name, x in subject.stems.items()}
    assert not ideal_ratio_mask(dataclasses.replace(subject, stems=nothing)).any()


def test_events_waveform_spectrogram_and_mask_have_the_tone_in_one_place(subject: Subject) -> None:
    figure = waveform(subject)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["events", "waveform", "spectrogram", "ideal ratio mask"]
    assert bars(named(figure, "events")) == [(2.0, 4.0, 0)]
    assert [x.get_text() for x in named(figure, "events").get_yticklabels()] == ["● Dog"]
    x, y = named(figure, "waveform").lines[0].get_data()
    loud = x[np.abs(y) > 0.1]
    assert (loud[0], loud[-1]) == pytest.approx((2.0, 4.0), abs=2 / RATE)
    for title, low, high in (("spectrogram", -30.0, -10.0), ("ideal ratio mask", 0.25, 0.9)):
        axes = named(figure, title)
        assert axes.get_ylabel() == "frequency (kHz)"
        assert axes.get_ylim() == (0.0, 4.0)
        assert all(at(axes, t, 1.0) > high for t in (2.03, 3.0, 3.97))
        assert all(at(axes, t, 1.0) < low for t in (1.97, 4.03))
        assert all(at(axes, 3.0, khz) < low for khz in (0.9, 1.1, 3.0))
    assert {axes.get_xlim() for axes in figure.axes if axes.get_title()} == {(0.0, 6.0)}
    assert figure.axes[3].get_xlabel() == "time (s)"


def test_in_the_picture_too(subject: Subject) -> None:
    figure, file = waveform(subject), io.BytesIO()
    save(figure, file, 100)
    file.seek(0)
    picture = pictures.imread(file)
    assert picture.shape[:2] == tuple(int(100 * x) for x in reversed(figure.get_size_inches()))

    def brightness(title: str, t: float, khz: float) -> float:
        x, y = named(figure, title).transData.transform((t, khz))
        return float(picture[round(len(picture) - y), round(x), :3].sum())

    for title in ("spectrogram", "ideal ratio mask"):
        here = brightness(title, 3.0, 1.0)
        for elsewhere in ((1.9, 1.0), (4.1, 1.0), (3.0, 1.3), (3.0, 0.7), (3.0, 3.0)):
            assert here > 0.5 + brightness(title, *elsewhere)


def test_features_beside_masks_have_it_at_the_tick_of_1000_hz(subject: Subject) -> None:
    axes = named(masks(subject), "features")
    assert axes.images[0].get_extent() == [0.0, 6.0, 0.0, 32]
    ticks = {label.get_text(): place for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    values = np.array([at(axes, 3.0, row + 0.5) for row in range(32)])
    assert abs(np.argmax(values) + 0.5 - ticks["1000"]) <= 0.5
    assert at(axes, 1.97, ticks["1000"]) < at(axes, 2.03, ticks["1000"]) - 20
    assert at(axes, 4.03, ticks["1000"]) < at(axes, 3.97, ticks["1000"]) - 20


@pytest.mark.parametrize("groups", [1, 4])
def test_ticks_lie_on_the_filters_of_their_frequencies(groups: int) -> None:
    frontend = LogMel(sample_rate=32000, n_fft=2048, hop_samples=1024, n_mels=64, fmin_hz=50.0, fmax_hz=16000.0)
    axes = new_figure(4, 4, "").subplots()
    over_bins(axes, frontend, 64 // groups)
    centres_hz = librosa.mel_frequencies(66, fmin=50, fmax=16000)[1:-1]
    places, names = axes.get_yticks(), [float(x.get_text()) for x in axes.get_yticklabels()]
    assert names == [8000, 4000, 2000, 1000, 500, 125]
    # A row's centre is half a row above its lower edge.
    np.testing.assert_allclose(np.interp(places * groups - 0.5, np.arange(64), centres_hz), names, rtol=0.01)
    assert axes.get_ylabel() == "frequency (Hz)" and axes.get_ylim() == (0, 64 // groups)


def test_short_recordings_are_drawn(subject: Subject) -> None:
    short = dataclasses.replace(subject, waveform=subject.waveform[:50], stems=None, truth=None)
    assert len(waveform(short).axes) == 3
    assert subject.valid_frames == FRAMES
