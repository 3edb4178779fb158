"""Embeddings the usual way: one clip after the other, filter bank in torch, the network as it is, rows into HDF5."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor


def mel_bank(n_mels: int = 128, rate: int = 16000, n_fft: int = 512, low_hz: float = 20.0) -> Tensor:
    """Kaldi's triangles over mel, (n_fft // 2, n_mels)."""

    def mel(hz: Tensor) -> Tensor:
        return 1127 * torch.log(1 + hz / 700)

    ends = mel(torch.tensor([low_hz, rate / 2], dtype=torch.float64))
    points = torch.linspace(float(ends[0]), float(ends[1]), n_mels + 2, dtype=torch.float64)
    bins = mel(torch.arange(n_fft // 2, dtype=torch.float64) * rate / n_fft)[:, None]
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def filter_bank(waveform: Tensor, bank: Tensor) -> Tensor:
    """(samples,) to (frames, mels): frames of 25 ms every 10 ms, as `torchaudio.compliance.kaldi.fbank` gives them."""
    frames = (32768 * waveform).unfold(0, 400, 160)
    frames = frames - frames.mean(dim=1, keepdim=True)
    frames = frames - 0.97 * torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    turns = torch.arange(400) * (2 * math.pi / 399)
    window = (0.5 - 0.5 * torch.cos(turns)) ** 0.85
    power = torch.fft.rfft(frames * window, 512).abs() ** 2
    return (power[:, :256] @ bank).clamp(min=2.0**-23).log()


def loop(paths: Sequence[Path], network: Callable[[Tensor], Tensor], out: Path) -> None:
    """Write the tokens of each recording."""
    bank, rows = mel_bank(), []
    with torch.no_grad():
        for path in paths:
            samples, rate = soundfile.read(path, dtype="float32")
            waveform = torch.from_numpy(soxr.resample(samples, rate, 16000))
            fbank = (filter_bank(waveform, bank) - 15.41663) / (2 * 6.55582)
            rows.append(network(fbank[None])[0].numpy())
    with h5py.File(out, "w") as file:
        file["features"] = np.stack(rows)
