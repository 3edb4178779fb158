"""A trained network that scores batches of features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.files import sha256_file
from sedkit.dataio.windows import Ints
from sedkit.features.frontends import FrontEnd, frontend_from, frontends_from
from sedkit.models.checkpoint import Checkpoint, read_checkpoint
from sedkit.models.folding import for_prediction
from sedkit.models.output import SedOutput, inputs_of
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
    full_output
        Whether `output` has masks, reconstruction and attention where the network has them.

    Attributes
    ----------
    labels
        Class order.
    frontend, embeddings
        What the features must be made with, and the further ones that the network takes, by name.
    window
        Frames of the windows that it was trained on, on the front end's window grid.
    precision
        Of the convolutions, `fp32` or `bf16`.
    run
        Where it comes from and what it saw; the name of the network, where the checkpoint keeps several.
    postprocessing
        Rules that the checkpoint holds, as plain data; empty where it has none.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "auto",
        precision: str = "auto",
        network: str | None = None,
        producer: str = "",
        full_output: bool = False,
    ) -> None:
        self.device = choose_device(device)
        if precision == "auto" and checkpoint.config.get("training", {}).get("precision") == "fp32":
            precision = "fp32"
        dtype = choose_precision(precision, self.device)
        self.precision = "bf16" if dtype == torch.bfloat16 else "fp32"
        self.network = for_prediction(checkpoint.network(network), self.device, dtype, full_output)
        self.normalise = checkpoint.normalisation().to(self.device)
        self.labels = checkpoint.labels
        with checkpoint.refusals():
            self.frontend: FrontEnd = frontend_from(checkpoint.frontend)
            self.embeddings = frontends_from(checkpoint.embeddings)
        self.window, self.run, self.producer = checkpoint.window, checkpoint.run, producer
        self.postprocessing = checkpoint.postprocessing
        if len(checkpoint.networks) > 1:
            name = network or checkpoint.selected
            self.run, self.producer = self.run | {"network": name}, f"{producer}@{name}" if producer else ""

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        network: str | None = None,
        full_output: bool = False,
    ) -> Predictor:
        """Read a checkpoint file; its hash becomes the producer, with the network's name where it keeps several."""
        return cls(read_checkpoint(path), device, precision, network, f"sha256:{sha256_file(path)}", full_output)

    def score(
        self, features: Floats, n_frames: Ints, embeddings: Mapping[str, Floats] = MappingProxyType({})
    ) -> tuple[Floats, Floats]:
        """Score one batch.

        Parameters
        ----------
        features
            (windows, frames, bins), not normalised.
        n_frames
            (windows,) real frames.
        embeddings
            (windows, rows, bins) of each further front end, by name.

        Returns
        -------
        clipwise (windows, classes), framewise (windows, frames / pooling, classes)
        """
        output, _ = self.output(features, n_frames, embeddings)
        return output.clipwise.float().cpu().numpy(), output.framewise.float().cpu().numpy()

    @torch.inference_mode()
    def output(
        self, features: Floats, n_frames: Ints, embeddings: Mapping[str, Floats] = MappingProxyType({})
    ) -> tuple[SedOutput, torch.Tensor]:
        """Return what the network makes of such a batch, and the normalised features (windows, frames, bins)."""
        real = torch.from_numpy(n_frames).to(self.device)
        x = self.normalise(torch.from_numpy(np.ascontiguousarray(features)).to(self.device), real)
        beside = {name: torch.from_numpy(rows).to(self.device) for name, rows in embeddings.items()}
        output: SedOutput = self.network(*inputs_of(x, real, beside))
        return output, x
