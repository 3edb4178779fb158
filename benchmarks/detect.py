"""A long recording to scores: passing by in blocks against read whole, librosa's features and stock PyTorch.

The recording is PCM16, 44.1 kHz stereo; both score the same windows of ten seconds, every five, with the default system
in its quick budget. Equal: probabilities within what bfloat16 may make. Said besides: how many times real time a call
of `sedkit detect` takes with everything, and its memory; by how much scores of two recordings put together differ from
their own, where windows lie over the seam, with a network of convolutions and with a recurrent one.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._ceiling import convolutions, transforms
from benchmarks._checkpoint import FRONTEND, LABELS, WINDOW, make_checkpoint
from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.inference.detector import Detector
from sedkit.inference.predict import predict_waveforms
from sedkit.inference.tiling import Accumulated
from sedkit.models.checkpoint import read_checkpoint
from sedkit.models.precision import cpu_name

RUNS, MINUTES = 2, 30
RATE = 44100
COMPARISONS: Comparisons = {"detect": ("sedkit", "whole, librosa and stock PyTorch", None)}
CNN = {"name": "cnn9_avg", "clipwise": "feature_max", "base_channels": 32}
CRNN = {"name": "crnn"}
HOP, POOLING = 320, 8
#: Largest difference of a probability that bfloat16 may make.
TOLERANCE = 0.02
LEAST = "soxr, transforms, every window as fast as a convolution"
#: What is asked of a call with everything, on two cores.
REAL_TIME = 100


def make_recording(path: Path, minutes: int) -> None:
    """Write noise whose level changes every few seconds."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as file:
        for _ in range(minutes):
            swell = np.repeat(10 ** rng.uniform(-3, -1, 20), 3 * RATE)
            file.write((swell[:, None] * rng.standard_normal((60 * RATE, 2))).astype(np.float32))


def librosa_and_stock(path: Path, network: torch.nn.Module) -> np.ndarray:
    """Score a recording with stock packages: everything in memory, window by window."""
    import librosa

    waveform, _ = librosa.load(path, sr=FRONTEND.sample_rate, mono=True, res_type="soxr_hq")
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=FRONTEND.sample_rate, n_fft=FRONTEND.n_fft, hop_length=FRONTEND.hop_samples,
        window=np.hanning(FRONTEND.n_fft), n_mels=FRONTEND.n_mels, fmin=FRONTEND.fmin_hz, fmax=FRONTEND.fmax_hz,
        pad_mode="reflect",
    )  # fmt: skip
    n_frames = -(-len(waveform) // FRONTEND.hop_samples)
    features = librosa.power_to_db(mel, ref=1.0, amin=FRONTEND.floor, top_db=None).T[:n_frames]
    first = np.arange(0, max(n_frames - WINDOW, 0) + HOP, HOP)
    features = np.pad(features, ((0, first[-1] + WINDOW - n_frames), (0, 0)), constant_values=FRONTEND.padding)
    frames = Accumulated(np.zeros(len(first), np.int64), (first[-1] + WINDOW) // POOLING, (len(LABELS),))
    with torch.inference_mode():
        for begin in first.tolist():
            window = torch.from_numpy(np.ascontiguousarray(features[begin : begin + WINDOW], np.float32))
            said = network(window[None]).framewise.numpy()
            frames.add(np.zeros(1, np.int64), np.array([begin // POOLING]), said)
    return frames.means()[0]


def at_a_seam(path: Path, precision: str = "fp32") -> tuple[float, float]:
    """Return by how much scores of two recordings in a row differ from their own: anywhere, and 10 s off the seam."""
    network = Detector.open(path, 0.5, precision=precision, device="cpu").predictor
    rng, rate = np.random.default_rng(1), FRONTEND.sample_rate
    parts = [(level * rng.standard_normal(30 * rate)).astype(np.float32) for level in (0.1, 0.01)]
    whole, *alone = (predict_waveforms(network, [("x", x)]).framewise[0] for x in (np.concatenate(parts), *parts))
    off = np.abs(whole - np.concatenate(alone)).max(axis=1)
    seam, far = len(alone[0]), round(10 / 30 * len(alone[0]))
    return float(off.max()), float(np.delete(off, np.arange(seam - far, seam + far)).max())


#: Calls sedkit, and says the largest memory that the process had.
_CALL = """
import sys
from benchmarks._process import peak_mib
from sedkit.cli.main import main
status = main(sys.argv[1:])
print(peak_mib())
sys.exit(status)
"""


def a_call(recording: Path, checkpoint: Path) -> tuple[float, float, float]:
    """Return seconds on the wall, seconds of processors and MiB of a call of `sedkit detect`."""
    words = ["detect", checkpoint, recording, "--postprocessing", "0.5", "--out", recording.with_suffix(".tsv")]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call = [sys.executable, "-c", _CALL, *map(str, words)]
    done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, busy_s, float(done.stdout)


def at_least(minutes: int) -> Callable[[], None]:
    """Return what no detection can leave out before its network: resampling one channel, and the transforms."""
    seconds = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    transform = transforms(FRONTEND, FRONTEND.frames_for(60.0 * minutes))

    def work() -> None:
        for _ in range(6 * minutes):
            soxr.resample(seconds, RATE, FRONTEND.sample_rate)
        transform()

    return work


def gflop(network: torch.nn.Module) -> float:
    """Return what a window's products and convolutions take."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, WINDOW, FRONTEND.n_bins))
    return float(counter.get_total_flops()) / 1e9


def run(form: Form) -> Report:
    """Score one recording both ways."""
    torch.set_num_threads(form.threads)
    minutes = 1 if form.quick else MINUTES
    ours, peer, _ = COMPARISONS["detect"]
    with tempfile.TemporaryDirectory() as folder:
        recording, cnn, crnn = (Path(folder) / name for name in ("a.wav", "cnn.pt", "crnn.pt"))
        make_recording(recording, minutes)
        make_checkpoint(cnn, CNN)
        make_checkpoint(crnn, CRNN)
        detector = Detector.open(cnn, 0.5, device="cpu")
        stock = read_checkpoint(cnn).network().eval()
        seconds, results = in_turn(
            form,
            {
                ours: lambda: detector.scores(recording).framewise[0],
                peer: lambda: librosa_and_stock(recording, stock),
                LEAST: at_least(minutes),
            },
        )
        windows = 60 * minutes * FRONTEND.sample_rate / (FRONTEND.hop_samples * HOP)
        seconds[LEAST] += windows * gflop(stock) / convolutions(form)["quickest"]
        n = min(len(results[ours]), len(results[peer]))
        off = float(np.abs(results[ours][:n] - results[peer][:n]).max())
        took_s, busy_s, megabytes = a_call(recording, cnn)
        seams = {name: at_a_seam(path) for name, path in (("convolutions", cnn), ("recurrent", crnn))}
    notes = [
        f"probabilities differ by up to {off:.1e}",
        f"a call of `sedkit detect`, everything in it: {took_s:.1f} s, {60 * minutes / took_s:.0f} times real time (of "
        f"{MINUTES} minutes {REAL_TIME} are asked for); {busy_s:.1f} s of processors, {megabytes:.0f} MiB",
        *(
            f"two recordings in a row, {name}: scores differ by up to {near:.1e}, 10 s off the seam by {far:.1e}"
            for name, (near, far) in seams.items()
        ),
    ]
    return Report(
        title=f"{minutes} minutes of 44.1 kHz stereo, {form.threads} threads; {cpu_name()}",
        seconds=seconds,
        equal={"detect": off <= TOLERANCE},
        work={"minutes": minutes},
        notes=tuple(notes),
        limits={"detect": LEAST},
    )
