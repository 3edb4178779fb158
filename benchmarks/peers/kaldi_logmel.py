"""Log-mel energies by kaldi-native-fbank, as its users call it: not the same features, so only the time says something.

Kaldi centres frames half a hop later, transforms in single precision, and takes natural logarithms; window, filters and
rate are set to those of the other ways.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import soundfile
import soxr

from benchmarks.peers.librosa_logmel import FRAMES, HOP, MELS, N_FFT, SAMPLE_RATE, SAMPLES


def installed() -> bool:
    """Tell whether the package is there (`pip install -e '.[benchmarks]'`)."""
    return importlib.util.find_spec("kaldi_native_fbank") is not None


def extract(paths: Sequence[Path], out: Path) -> None:
    """Extract into a contiguous file; soundfile reads, soxr resamples."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.samp_freq, frame.dither, frame.preemph_coeff, frame.remove_dc_offset = SAMPLE_RATE, 0, 0, False
    frame.frame_length_ms, frame.frame_shift_ms = 1000 * N_FFT / SAMPLE_RATE, 1000 * HOP / SAMPLE_RATE
    frame.window_type, frame.snip_edges = "hanning", False
    mel.num_bins, mel.low_freq, mel.high_freq, mel.is_librosa = MELS, 50, 14000, True
    options.use_log_fbank = True
    with h5py.File(out, "w") as file:
        data = file.create_dataset("feature", (len(paths), FRAMES, MELS), dtype=np.float32)
        for n, path in enumerate(paths):
            x, rate = soundfile.read(path, dtype="float32")
            bank = knf.OnlineFbank(options)
            bank.accept_waveform(SAMPLE_RATE, soxr.resample(x, rate, SAMPLE_RATE)[:SAMPLES])
            bank.input_finished()
            data[n] = [bank.get_frame(i) for i in range(FRAMES)]
