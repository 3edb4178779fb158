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
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.normalise import Normalisation
from sedkit.inference.detector import Detector
from sedkit.inference.predict import predict_waveforms
from sedkit.inference.tiling import Accumulated
from sedkit.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sedkit.models.precision import cpu_name
from sedkit.models.registry import build_model, resolve_model

RUNS, MINUTES = 2, 30
RATE = 44100
COMPARISONS: Comparisons = {"detect": ("sedkit", "whole, librosa and stock PyTorch", None)}
FRONTEND = LogMel()
LABELS = Vocabulary(tuple("abcdefghij"))
CNN = {"name": "cnn9_avg", "clipwise": "feature_max", "base_channels": 32}
CRNN = {"name": "crnn"}
WINDOW, HOP, POOLING = 640, 320, 8
#: Largest difference of a probability that bfloat16 may make.
TOLERANCE = 0.02
#: What is asked of a call with everything, on two cores.
REAL_TIME = 100


def make_checkpoint(path: Path, model: dict[str, Any]) -> None:
    """Write a network whose batch norms have seen something."""
    torch.manual_seed(0)
    network = build_model(model, len(LABELS), FRONTEND.n_bins)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(20 * torch.randn(4, WINDOW, FRONTEND.n_bins) - 40)
    normalisation = Normalisation.from_section(None, FRONTEND.n_bins)
    write_checkpoint(
        path,
        Checkpoint(
            model=resolve_model(model),
            labels=LABELS,
            frontend=FRONTEND.as_dict(),
            frontend_hash=FRONTEND.hash8,
            window=WINDOW,
            normalise=normalisation.resolved(),
            fitted=normalisation.state_dict(),
            networks={"network": network.state_dict()},
        ),
    )


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


#: Calls sedkit, and says the largest memory that the process had (of the call alone: what forked it is not counted).
_CALL = """
import re, sys
from sedkit.cli.main import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(status)
"""


def a_call(recording: Path, checkpoint: Path) -> tuple[float, float, float]:
    """Return seconds on the wall, seconds of processors and MB of a call of `sedkit detect`."""
    words = ["detect", checkpoint, recording, "--postprocessing", "0.5", "--out", recording.with_suffix(".tsv")]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call = [sys.executable, "-c", _CALL, *map(str, words)]
    done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, busy_s, int(done.stdout) / 1024


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
            },
        )
        n = min(map(len, results.values()))
        off = float(np.abs(results[ours][:n] - results[peer][:n]).max())
        took_s, busy_s, megabytes = a_call(recording, cnn)
        seams = {name: at_a_seam(path) for name, path in (("convolutions", cnn), ("recurrent", crnn))}
    notes = [
        f"probabilities differ by up to {off:.1e}",
        f"a call of `sedkit detect`, everything in it: {took_s:.1f} s, {60 * minutes / took_s:.0f} times real time (of "
        f"{MINUTES} minutes {REAL_TIME} are asked for); {busy_s:.1f} s of processors, {megabytes:.0f} MB",
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
    )
