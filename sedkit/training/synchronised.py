"""A network whose gradients are means over the processes that train it together."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sedkit.models.output import SedModel, SedOutput


class _AsDict(nn.Module):
    """A network with a dict as its output, in which DistributedDataParallel finds the tensors."""

    def __init__(self, network: SedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> dict[str, Any]:
        output = vars(self.network(*inputs))
        return {name: value for name, value in output.items() if value is not None}


class Synchronised(nn.Module):
    """What runs in place of a network, which keeps its parameters; same call, same output."""

    def __init__(self, network: SedModel) -> None:
        super().__init__()
        device = next(network.parameters()).device
        # Parameters may be without a gradient, as of a decoder whose term has no weight. Torch advises against looking
        # for them where there are none.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified", category=UserWarning)
        self.parallel = DistributedDataParallel(
            _AsDict(network), device_ids=[device.index] if device.type == "cuda" else None, find_unused_parameters=True
        )

    def forward(self, *inputs: Any) -> SedOutput:
        """Return what the network makes of this process's windows."""
        return SedOutput(**self.parallel(*inputs))
