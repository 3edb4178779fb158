"""The size of a network at inference, as challenge submissions state it."""

from __future__ import annotations

import os
from typing import NamedTuple

from sedkit.core.experiment_folder import ExperimentFolder

#: The length for which the challenge asks for multiply-accumulate operations.
MAC_SECONDS = 10.0


class Complexity(NamedTuple):
    """Trained parameters, and multiply-accumulate operations for 10 s of audio; None where that is not known."""

    parameters: int | None
    macs: int | None


def complexity_of(experiment: ExperimentFolder) -> Complexity:
    """Count parameters and operations of the selected network; without a checkpoint what the run wrote down."""
    file = experiment.training / "checkpoints" / "best.pt"
    return count_complexity(file) if file.is_file() else Complexity(experiment.parameters, None)


def count_complexity(checkpoint: str | os.PathLike[str]) -> Complexity:
    """Count the parameters and operations of a checkpoint's selected network, with those of front ends that are one.

    Multiply-accumulate operations are half the floating point operations that PyTorch's dispatcher sees (matrix
    products and convolutions); a network that takes inputs of one length runs as often as 10 s hold one.
    """
    # Counting alone needs torch; packing and comparing import this module too.
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from sedkit.features.frontends import frontend_from, frontends_from
    from sedkit.models.checkpoint import read_checkpoint

    content = read_checkpoint(checkpoint)
    network = content.network()
    parameters = sum(p.numel() for p in network.parameters())
    frontend = frontend_from(content.frontend)
    frames = frontend.grid.n_frames(MAC_SECONDS)
    length = network.input_frames or frames
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(*network.silence(frames, frontend.n_bins))
    runs = -(-frames // length)
    macs = runs * counter.get_total_flops() // 2
    for before in (frontend, *frontends_from(content.embeddings).values()):
        of_frontend = before.complexity(MAC_SECONDS)
        parameters, macs = parameters + of_frontend[0], macs + of_frontend[1]
    return Complexity(parameters, macs or None)
