"""Mel filter banks against librosa's and, for the HTK scale without norm, against the formula torchaudio uses."""

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.features.mel import hz_to_mel, mel_bank, mel_to_hz

BANKS = [
    (32000, 1024, 64, 50.0, 14000.0),
    (32000, 2048, 64, 50.0, 16000.0),
    (44100, 2048, 64, 0.0, 22050.0),
    (44100, 2048, 128, 0.0, 22050.0),
    (16000, 2048, 128, 0.0, 8000.0),
]


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
def test_is_librosas_bank(bank, scale, norm):
    rate, n_fft, n_mels, fmin, fmax = bank
    expected = librosa.filters.mel(
        sr=rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=scale == "htk",
        norm=None if norm == "none" else norm,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_bank(*bank, scale, norm), expected.T, rtol=1e-9, atol=1e-14)


@given(st.floats(0, 24000), st.sampled_from(["slaney", "htk"]))
def test_mel_and_back(hz, scale):
    there = hz_to_mel(np.array([hz]), scale)
    np.testing.assert_allclose(mel_to_hz(there, scale), [hz], rtol=1e-9, atol=1e-9)


def test_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        mel_bank(*BANKS[0])[0, 0] = 1
