"""Features to scores, at the network's own resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.files import sha256_file
from sedkit.core.parallel import progress
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.scores import Scores
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.inference.sources import FoundClips
from sedkit.models.checkpoint import Checkpoint, read_checkpoint
from sedkit.models.folding import for_prediction
from sedkit.models.precision import choose_device, choose_precision

Floats = NDArray[np.float32]


class Predictor:
    """A trained network ready to score features.

    Parameters
    ----------
    checkpoint
        As read by `read_checkpoint`.
    device, precision
        `auto`, `cpu`, `cuda`; `auto` (`fp32` if the network was asked to be trained so, else as the hardware has it),
        `fp32`, `bf16`.
    network
        Name of the network where the checkpoint keeps several; None takes the selected one.
    producer
        Goes into the scores.

    Attributes
    ----------
    grid
        The scores' frames.
    labels
        Class order.
    frontend
        What the features must be made with.
    chunks
        How the clips that it was trained on were cut into chunks; None: they were not (see `sedkit.inference.chunks`).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "auto",
        precision: str = "auto",
        network: str | None = None,
        producer: str = "",
    ) -> None:
        self.device = choose_device(device)
        if precision == "auto" and checkpoint.config.get("training", {}).get("precision") == "fp32":
            precision = "fp32"
        dtype = choose_precision(precision, self.device)
        self.network = for_prediction(checkpoint.network(network), self.device, dtype)
        self.scaler = checkpoint.scaler.to(self.device)
        self.labels = checkpoint.labels
        with checkpoint.refusals():
            self.frontend: FrontEnd = frontend_from(checkpoint.frontend)
        self.pooling = self.network.time_pooling
        self.grid: TimeGrid = checkpoint.grid.pooled(self.pooling)
        self.producer = producer
        data = checkpoint.config.get("data", {})
        streams = [*data.get("select", {}).values(), *data.get("streams", {}).values()]
        self.chunks: dict[str, Any] | None = next((s["chunks"] for s in streams if s.get("chunks")), None)

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        network: str | None = None,
    ) -> Predictor:
        """Read a checkpoint file; its hash becomes the producer."""
        return cls(read_checkpoint(path), device, precision, network, f"sha256:{sha256_file(path)}")

    @torch.inference_mode()
    def score(self, features: Floats, n_frames: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Score one batch.

        Parameters
        ----------
        features
            (clips, frames, bins), not scaled. Frames that do not fill the network's last frame are filled with silence.
        n_frames
            (clips,) real frames.

        Returns
        -------
        clipwise (clips, classes), framewise (clips, ceil(frames / pooling), classes)
        """
        short = -features.shape[1] % self.pooling
        if short:
            features = np.pad(features, ((0, 0), (0, short), (0, 0)), constant_values=self.frontend.padding)
        x = self.scaler(torch.from_numpy(np.ascontiguousarray(features)).to(self.device))
        output = self.network(x, torch.from_numpy(n_frames).to(self.device))
        return output.clipwise.float().cpu().numpy(), output.framewise.float().cpu().numpy()


def predict(predictor: Predictor, clips: FoundClips, batch_size: int = 16) -> Scores:
    """Score clips.

    Returns
    -------
    Scores whose `n_frames` end with each recording; frames beyond are 0. A recording longer than its features (a clip
    that the front end cut) has no frames past them.
    """
    n = len(clips.rows)
    classes, pooling = len(predictor.labels), predictor.pooling
    frames = -(-clips.features.shape[1] // pooling)
    framewise = np.zeros((n, frames, classes), dtype=np.float32)
    clipwise = np.zeros((n, classes), dtype=np.float32)
    n_out = np.array([max(1, min(frames, predictor.grid.n_frames(s))) for s in clips.duration_s], dtype=np.int64)
    with progress(total=n, description="predict", unit="clip") as bar:
        for first in range(0, n, batch_size):
            part = slice(first, min(first + batch_size, n))
            rows = clips.rows[part]
            clipwise[part], framewise[part] = predictor.score(clips.features.take(rows), clips.features.n_frames[rows])
            bar.update(len(rows))
    framewise[np.arange(frames)[None, :] >= n_out[:, None]] = 0.0
    return Scores(
        framewise=framewise,
        n_frames=n_out,
        duration_s=clips.duration_s,
        frame_edges_s=predictor.grid.edges_s(frames),
        filenames=clips.filenames,
        labels=predictor.labels.labels,
        clipwise=clipwise,
        producer=predictor.producer,
    )
