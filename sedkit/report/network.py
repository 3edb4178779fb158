"""The network of a run, layer by layer, as data pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sedkit.inference.clips import checkpoint_of
from sedkit.report.panels import new_figure
from sedkit.report.runs import RunSubject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

    from sedkit.models.output import SedModel

#: Inches of a layer and of the arrow below it; where on a line (in parts of the figure) texts stand.
_BOX, _ARROW = 0.42, 0.2
_SHAPE, _PARAMETERS = 0.74, 0.98
_FILL, _FRAME = "#deebf7", "#0072B2"


class Layer(NamedTuple):
    """A part of a network that data pass as one.

    Attributes
    ----------
    name
        As the network calls it.
    kind
        Its class.
    parts
        What it is made of, in words.
    shape
        Of what it gives for one window, without the batch.
    parameters
        Numbers that training changes.
    """

    name: str
    kind: str
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def layers_of(network: SedModel, frames: int, bins: int) -> list[Layer]:
    """Return the layers of a network in the order in which a window of `frames` by `bins` passes them.

    What is called by no name of its own (a batch norm that is computed together with what follows) counts to the layer
    before it; what the network has beside its layers (places of tokens), to the first one.
    """
    import torch

    units = list(_units(network))
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            if isinstance(value, torch.Tensor):
                shapes.setdefault(name, tuple(value.shape[1:]))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in units]
    try:
        with torch.inference_mode():
            network.eval()(*network.silence(frames, bins))
    finally:
        for handle in handles:
            handle.remove()
    layers: dict[str, Layer] = {}
    before = None
    for name, module in units:
        numbers, parts = sum(p.numel() for p in module.parameters()), _parts(module)
        if name in shapes:
            layers[name] = Layer(name, type(module).__name__, parts, shapes[name], numbers)
            before = name
        elif before is not None:
            layer = layers[before]
            layers[before] = layer._replace(parts=(*layer.parts, *parts), parameters=layer.parameters + numbers)
    beside = dict(network.named_parameters(recurse=False))
    if beside:
        first = layers[next(iter(shapes))]
        numbers = first.parameters + sum(p.numel() for p in beside.values())
        layers[first.name] = first._replace(parts=(*first.parts, *beside), parameters=numbers)
    return [layers[name] for name in shapes]


def _units(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that hold parameters, by name: whole blocks, not what only lists them."""
    from torch import nn

    for name, child in module.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _units(child, f"{prefix}{name}.")
        elif any(True for _ in child.parameters()):
            yield f"{prefix}{name}", child


def _parts(module: nn.Module) -> tuple[str, ...]:
    """Say what a module is made of: whatever in it has numbers of its own."""
    return tuple(_part(one) for one in module.modules() if list(one.parameters(recurse=False)))


def _part(module: nn.Module) -> str:
    from torch import nn

    if isinstance(module, nn.Conv2d | nn.Conv1d):
        sides = "×".join(map(str, module.kernel_size))
        wide = f", dilated {max(module.dilation)} times" if max(module.dilation) > 1 else ""
        return f"convolution {sides} to {module.out_channels}{wide}"
    if isinstance(module, nn.Linear):
        return f"linear to {module.out_features}"
    if isinstance(module, nn.GRU):
        both = "2 × " if module.bidirectional else ""
        return f"GRU of {both}{module.hidden_size} units, {module.num_layers} layer{'s' * (module.num_layers > 1)}"
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return "batch norm"
    # As "FrequencyDynamicConv" is written: "frequency dynamic conv".
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(module).__name__).lower()


def network(subject: RunSubject) -> Figure:
    """Draw the layers of a run's network from top to bottom: what each gives, and its parameters."""
    from sedkit.features.frontends import frontend_from
    from sedkit.models.checkpoint import read_checkpoint

    file, name = checkpoint_of(subject.path)
    content = read_checkpoint(file)
    model, frontend = content.network(name), frontend_from(content.frontend)
    frames = frontend.window_frames(content.window)
    layers = layers_of(model, frames, frontend.n_bins)
    rows, total = len(layers) + 2, sum(p.numel() for p in model.parameters())
    height = 0.85 + rows * (_BOX + _ARROW)
    figure = new_figure(9, height, f"{subject.name}: {content.model['name']}, {total:,} parameters", arranged=False)
    axes = figure.add_axes((0.02, 0.02, 0.96, 1 - 0.65 / height - 0.02))
    axes.set(xlim=(0, 1), ylim=(rows * (_BOX + _ARROW), 0))
    axes.set_axis_off()
    axes.text(_SHAPE, -0.1, "gives", va="bottom", ha="center", fontsize=8, color="0.25")
    axes.text(_PARAMETERS, -0.1, "parameters", va="bottom", ha="right", fontsize=8, color="0.25")
    frames, frame_s = model.input_frames or frames, frontend.grid.pooled(model.time_pooling).frame_s
    _box(axes, 0, f"features: {frontend.name}", (), (frames, frontend.n_bins), None)
    for k, layer in enumerate(layers, 1):
        _box(axes, k, f"{layer.name} ({layer.kind})", layer.parts, layer.shape, layer.parameters)
    out = f"probabilities of the clip, and of frames of {1000 * frame_s:.4g} ms"
    _box(axes, rows - 1, out, (), (frames // model.time_pooling, len(content.labels)), None)
    return figure


def _box(
    axes: Axes, row: int, name: str, parts: tuple[str, ...], shape: tuple[int, ...], parameters: int | None
) -> None:
    """Draw a layer in its row, and the arrow that leads to it."""
    from matplotlib.patches import FancyBboxPatch

    top = row * (_BOX + _ARROW)
    style = "round,pad=0,rounding_size=0.01"
    axes.add_patch(
        FancyBboxPatch(
            (0.0, top),
            0.66,
            _BOX,
            boxstyle=style,
            mutation_aspect=10,
            facecolor=_FILL if parts else "white",
            edgecolor=_FRAME,
        )
    )
    if row:
        arrow = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (0.33, top), (0.33, top - _ARROW), arrowprops=arrow)
    shown = ", ".join(_counted(parts))
    shown = shown if len(shown) <= 108 else f"{shown[:106]}…"
    middle = top + _BOX / 2
    axes.text(0.01, middle - 0.09 * bool(parts), name, va="center", fontsize=9, weight="bold" if parts else "normal")
    if parts:
        axes.text(0.01, middle + 0.1, shown, va="center", fontsize=7, color="0.25")
    axes.text(_SHAPE, middle, " × ".join(map(str, shape)), va="center", ha="center", fontsize=9)
    if parameters is not None:
        axes.text(_PARAMETERS, middle, f"{parameters:,}", va="center", ha="right", fontsize=9)


def _counted(parts: tuple[str, ...]) -> list[str]:
    """Return each part once, with how often it is there."""
    return [f"{parts.count(part)} {part}" if parts.count(part) > 1 else part for part in dict.fromkeys(parts)]
