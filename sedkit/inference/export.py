"""A trained network as an ONNX graph, and all that a program without sedkit needs to run it.

The graph takes the front end's features as they are, normalises them and returns the probabilities. Everything else
(front end, classes, times, rules) is written beside it as JSON, and into the file's metadata under `sedkit`.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import sedkit
from sedkit.core.errors import SedkitError, first_line, listed
from sedkit.core.files import atomic_path, sha256_file, write_json
from sedkit.core.parallel import progress
from sedkit.features.frontends import Framing, FrontEnd
from sedkit.features.normalise import Normalisation
from sedkit.inference.predictor import Predictor
from sedkit.inference.tiling import Tiling
from sedkit.models.checkpoint import read_checkpoint
from sedkit.models.output import SedModel
from sedkit.postprocessing.rules import Postprocessing

#: Of the operators; onnxruntime reads it from 1.12 on.
OPSET = 17
#: What onnxruntime's probabilities may differ by from the network's.
TOLERANCE = 1e-4
_LICENCE = (
    f"Written by sedkit {sedkit.__version__} (MIT License, Copyright (c) 2026 The sedkit developers). The weights are "
    "under the terms of the data that they were trained on and started from."
)


class Graph(nn.Module):
    """What is written: normalisation and network in one, in float32.

    Shapes: features (batch, frames, bins), n_frames (batch,) -> clip probabilities (batch, classes), frame
    probabilities (batch, frames / `SedModel.time_pooling`, classes).
    """

    def __init__(self, network: SedModel, normalise: Normalisation) -> None:
        super().__init__()
        self.network, self.normalise = network, normalise
        network.full_output = False

    def forward(self, features: Tensor, n_frames: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(self.normalise(features, n_frames), n_frames)
        return output.clipwise, output.framewise


def export_network(
    checkpoint: Path, out: Path, beside: Path, network: str | None = None, rules: Postprocessing | None = None
) -> float:
    """Write the network of a checkpoint as ONNX, and what belongs to it as JSON.

    Parameters
    ----------
    checkpoint
        The file.
    out, beside
        Places of the graph and of the JSON; both are written or none.
    network
        Name of the network where the checkpoint keeps several; None takes the selected one.
    rules
        Post-processing that goes into the JSON, in the order of the checkpoint's classes.

    Returns
    -------
    The largest difference between onnxruntime's probabilities and those of `sedkit predict` in float32, on noise
    through the front end in batches of several sizes.

    Raises
    ------
    SedkitError
        A package is missing, the network has no ONNX form, or onnxruntime's probabilities differ by more than
        `TOLERANCE`.
    """
    onnx = _package("onnx")
    content = read_checkpoint(checkpoint)
    if content.embeddings:
        raise SedkitError(
            f"{checkpoint}: the network takes embeddings ({listed(content.embeddings)}), expected one of features "
            "alone: the graph has no place for another network; OUT.pt exports it for `sedkit detect`"
        )
    predictor = Predictor(content, "cpu", "fp32", network, f"sha256:{sha256_file(checkpoint)}")
    about = _describe(predictor, content.model, content.normalise, rules)
    about |= {"versions": _versions(), "licence": _LICENCE}
    with atomic_path(out) as aside:
        _write_graph(Graph(content.network(network), predictor.normalise), predictor, aside, str(checkpoint))
        _finish(onnx, aside, predictor, about)
        try:
            worst = greatest_difference(aside, predictor)
            if not worst <= TOLERANCE:
                raise SedkitError(f"its probabilities differ by up to {worst:.1e}, expected at most {TOLERANCE:g}")
        except SedkitError as error:
            raise SedkitError(
                f"{checkpoint}: the ONNX file would not be the network ({error}); nothing was written, `sedkit detect` "
                "runs the network as it is"
            ) from None
        write_json(beside, about | {"file": {"name": out.name, "sha256": sha256_file(aside)}})
    return worst


def greatest_difference(file: str | os.PathLike[str], predictor: Predictor) -> float:
    """Return the largest difference between a graph's probabilities in onnxruntime and the predictor's.

    Compared are noise of several levels through the front end, in batches of 1 and 3 clips, all but the first of
    them shorter than the batch, at the length of the training's windows, and at another where the network takes any.
    """
    runtime = _package("onnxruntime")
    worst = 0.0
    try:
        session = runtime.InferenceSession(os.fspath(file), providers=["CPUExecutionProvider"])
        for features, n_frames in progress(_noise(predictor), description="export", unit="batch"):
            expected = predictor.score(features, n_frames)
            got = session.run(["clipwise", "framewise"], {"features": features, "n_frames": n_frames})
            for ours, theirs in zip(expected, got, strict=True):
                if ours.shape != theirs.shape:
                    raise SedkitError(f"onnxruntime gives scores of {theirs.shape}, the network of {ours.shape}")
                worst = float(np.maximum(worst, np.abs(ours - theirs).max()))
    except SedkitError:
        raise
    except Exception as error:  # onnxruntime's errors have no family
        raise SedkitError(f"onnxruntime cannot run the graph: {first_line(error)}") from None
    return worst


def _noise(predictor: Predictor) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return batches of features and real frames."""
    frontend, rng, most = predictor.frontend, np.random.default_rng(0), predictor.network.most_frames
    lengths = [predictor.window]
    if predictor.network.input_frames is None:
        longer = predictor.window * 3 // 2 + 1
        lengths.append(longer if most is None or frontend.window_frames(longer) <= most else longer // 3)
    batches = []
    for length in lengths:
        for n in (1, 3):
            level = 10.0 ** -np.arange(n)[:, None]
            waveform = (level * rng.normal(0, 0.3, (n, frontend.window_samples(length)))).astype(np.float32)
            features = frontend.transform_windows(waveform)
            real = np.maximum(1, features.shape[1] // (1 + 2 * np.arange(n)))
            batches.append((features, real.astype(np.int64)))
    return batches


def _write_graph(graph: Graph, predictor: Predictor, path: Path, source: str) -> None:
    """Record the graph on a batch of two windows, the second half as long."""
    frames = predictor.frontend.window_frames(predictor.window)
    features = torch.full((2, frames, predictor.frontend.n_bins), predictor.frontend.padding)
    axes = {name: {0: "batch"} for name in ("features", "n_frames", "clipwise", "framewise")}
    if predictor.network.input_frames is None:
        axes["features"][1], axes["framewise"][1] = "frames", "output_frames"
    try:
        with warnings.catch_warnings():
            # Of shapes that are fixed on purpose; that others are not is seen in `greatest_difference`.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph.eval().requires_grad_(False),
                (features, torch.tensor([frames, (frames + 1) // 2])),
                os.fspath(path),
                input_names=["features", "n_frames"],
                output_names=["clipwise", "framewise"],
                dynamic_axes=axes,
                opset_version=OPSET,
                # The newer exporter fails on recurrent layers of any number of frames, and takes seconds.
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise SedkitError(
            f"{source}: the network has no ONNX form of opset {OPSET} ({first_line(error)}); `sedkit detect` runs it "
            "as it is"
        ) from None


def _finish(onnx: Any, path: Path, predictor: Predictor, about: Mapping[str, Any]) -> None:
    """Add the metadata, and the numbers of frames where the network has no use for them: every file is called alike."""
    model = onnx.load(os.fspath(path))
    if "n_frames" not in [given.name for given in model.graph.input]:
        kind = onnx.TensorProto.INT64
        model.graph.input.append(onnx.helper.make_tensor_value_info("n_frames", kind, ["batch"]))
    model.producer_name, model.producer_version = "sedkit", sedkit.__version__
    onnx.helper.set_model_props(model, {"sedkit": json.dumps(about), "labels": json.dumps(list(predictor.labels))})
    onnx.checker.check_model(model)
    onnx.save(model, os.fspath(path))


def _describe(
    predictor: Predictor, model: Mapping[str, Any], normalise: Mapping[str, Any], rules: Postprocessing | None
) -> dict[str, Any]:
    """Return what a program has to know to call the graph and to understand its answers."""
    frontend, network, tiling = predictor.frontend, predictor.network, Tiling.of(predictor, 0)
    grid, framing = frontend.window_grid, frontend.framing
    return {
        "format": "sedkit export 1",
        "labels": list(predictor.labels),
        "frontend": frontend.as_dict(),
        "features": {
            "bins": frontend.n_bins,
            "scale": frontend.scale,
            "silence": frontend.padding,
            "frame_s": frontend.grid.frame_s,
            "frames_of_a_recording": "slices" if frontend.sliceable else "windows transformed one by one",
        },
        "spectrogram": None if framing is None else _spectrogram(framing),
        "windows": {
            "samples": predictor.window * grid.hop_samples,
            "frames": frontend.window_frames(predictor.window),
            "any_number_of_frames": network.input_frames is None,
            "most_frames": network.most_frames,
            "hop_samples": tiling.hop * grid.hop_samples,
        },
        "graph": {
            "opset": OPSET,
            "inputs": {
                "features": {"type": "float32", "axes": ["batch", "frames", "bins"], "normalised": False},
                "n_frames": {"type": "int64", "axes": ["batch"], "real_frames": _real(frontend)},
            },
            "outputs": {
                "clipwise": {"type": "float32", "axes": ["batch", "classes"]},
                "framewise": {"type": "float32", "axes": ["batch", "frames", "classes"]},
            },
            "frame_s": frontend.grid.pooled(network.time_pooling).frame_s,
            "features_a_frame": network.time_pooling,
            "tolerance": TOLERANCE,
        },
        "postprocessing": None if rules is None else rules.as_dict(),
        "model": dict(model),
        "normalise": dict(normalise),
        "checkpoint": predictor.producer,
        "run": predictor.run,
    }


def _real(frontend: FrontEnd) -> str:
    return "those that the recording fills" if frontend.sliceable else "all of the window"


def _spectrogram(framing: Framing) -> dict[str, Any]:
    """Return window and filters as numbers, of each filter the span that is not 0."""
    filters = []
    for weights in framing.bank.T:
        used = np.flatnonzero(weights)
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        filters.append({"first_bin": first, "weights": weights[first:last].tolist()})
    return {
        "first_sample": framing.first,
        "hop_samples": framing.hop_samples,
        "transform_bins": len(framing.bank),
        "window": framing.window.tolist(),
        "filters": filters,
    }


def _versions() -> dict[str, str]:
    versions = {name: str(_package(name).__version__) for name in ("onnx", "onnxruntime")}
    return {"sedkit": sedkit.__version__, "python": platform.python_version(), "torch": torch.__version__} | versions


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SedkitError(
            f"export needs {name}, which is not installed: `pip install -e '.[onnx]'` in the clone"
        ) from None
