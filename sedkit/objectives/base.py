"""What every objective offers to the training loop, and what the loop hands to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from sedkit.core.errors import UsageError, listed
from sedkit.features.batch import Batch
from sedkit.models.output import SedModel, SedOutput, inputs_of


@dataclass
class Term:
    """One part of a loss, as a sum and what it is over, so that means over streams and processes come out right.

    Attributes
    ----------
    sum
        Scalar.
    count
        Of how many (clips, frames, pairs) it is the sum; 0 is taken for 1, so that nothing adds nothing. It follows
        from the batch alone, not from what a network says. Of processes that train together, their share of everyone's.
    weight
        Of the mean in the loss.
    """

    sum: Tensor
    count: int | Tensor
    weight: float = 1.0

    @property
    def mean(self) -> Tensor:
        """Sum over count, without the weight."""
        if isinstance(self.count, Tensor):
            return self.sum / self.count.where(self.count > 0, 1)
        return self.sum / max(1, self.count)

    def __add__(self, other: Term) -> Term:
        """Join the same term of two streams; the weight is the first one's."""
        return Term(self.sum + other.sum, self.count + other.count, self.weight)


def joined(terms: Iterable[tuple[str, Term]]) -> dict[str, Term]:
    """Add the terms of one name, such as those of several streams."""
    sums: dict[str, Term] = {}
    for name, term in terms:
        sums[name] = sums[name] + term if name in sums else term
    return sums


def total(terms: dict[str, Term]) -> Tensor:
    """Return what is minimised: the sum over terms of weight times mean."""
    return torch.stack([term.weight * term.mean for term in terms.values()]).sum()


class Context:
    """What an objective sees of one step.

    Parameters
    ----------
    network
        The bare network, also where a compiled or distributed one runs.
    batch
        The default view, normalised; None: `views` gives it, where it is asked for.
    step, steps
        Steps done, and steps of the whole schedule.
    generator
        For random draws, on the network's device; its state follows from the run's seed and the step.
    views
        Gives the batch of a named view of the streams (`data.streams.*.views`), and by None the default one.
    wrapped
        What runs in place of `network`, such as `torch.compile` of it.
    """

    def __init__(
        self,
        network: SedModel,
        batch: Batch | None,
        step: int,
        steps: int,
        generator: torch.Generator,
        views: Callable[[str | None], Batch] | None = None,
        wrapped: nn.Module | None = None,
    ) -> None:
        self.network, self.step, self.steps, self.generator = network, step, steps, generator
        self._views, self._running = views, network if wrapped is None else wrapped
        self._shown: dict[str | None, Batch] = {} if batch is None else {None: batch}
        self.outputs: dict[str, SedOutput] = {}

    @property
    def batch(self) -> Batch:
        """The default view."""
        return self.view(None)

    @property
    def share(self) -> float:
        """Share of the run that is done, for schedules."""
        return self.step / self.steps

    def view(self, name: str | None) -> Batch:
        """Return the batch under a named view, the same at each call; None gives the default one."""
        if name not in self._shown:
            if self._views is None:
                raise UsageError(f"the objective asks for the view {name!r}, there is the default one alone")
            self._shown[name] = self._views(name)
        return self._shown[name]

    def forward(self, view: str | None = None, network: nn.Module | None = None) -> dict[str, SedOutput]:
        """Run all streams through a network at once (one batch for the batch norms); return one output a stream.

        Parameters
        ----------
        view
            See `view`.
        network
            Another than the trained one, such as a teacher.

        Raises
        ------
        UsageError
            Streams of different lengths.
        """
        batch = self.view(view)
        features = [stream.features for stream in batch.values() if stream.features is not None]
        assert len(features) == len(batch), "a waveform without its features"
        if len({x.shape[1:] for x in features}) > 1:
            shapes = (f"{name} {tuple(x.shape[1:])}" for name, x in zip(batch, features, strict=True))
            raise UsageError(
                f"streams of different frames and bins ({listed(shapes)}) cannot go through the network together; "
                "give data.streams the same window"
            )
        running = self._running if network is None else network
        streams = list(batch.values())
        embeddings = {
            name: torch.cat([stream.embeddings[name] for stream in streams]) for name in streams[0].embeddings
        }
        n_frames = torch.cat([stream.n_frames for stream in streams])
        masks = [stream.class_mask for stream in streams if stream.class_mask is not None]
        known = torch.cat(masks) if masks and self.network.takes_class_mask else None
        output = running(*inputs_of(torch.cat(features), n_frames, embeddings, known))
        outputs, first = {}, 0
        for name, stream in batch.items():
            rows = slice(first, first + len(stream))
            outputs[name] = SedOutput(**{f.name: _rows(getattr(output, f.name), rows) for f in fields(SedOutput)})
            if stream.class_mask is not None:
                _leave_out(outputs[name], stream.class_mask)
            first += len(stream)
        self.outputs = outputs
        return outputs


class Rehearsal(Context):
    """A step in which no network runs: `forward` gives what another batch of the same shapes got.

    Parameters
    ----------
    context
        Of the step that is yet to come; its views are not made twice.
    outputs
        What the other batch got.
    """

    def __init__(self, context: Context, outputs: dict[str, SedOutput]) -> None:
        super().__init__(context.network, None, context.step, context.steps, context.generator, context.view)
        self.outputs = outputs

    def forward(self, view: str | None = None, network: nn.Module | None = None) -> dict[str, SedOutput]:
        """Return the other batch's outputs."""
        return self.outputs


def _rows(value: Any, rows: slice) -> Any:
    if isinstance(value, dict):
        return {name: weights[rows] for name, weights in value.items()}
    return None if value is None else value[rows]


def _leave_out(output: SedOutput, class_mask: Tensor) -> None:
    """Set the probabilities of classes that nothing is known of to 0, as their targets are."""
    output.clipwise = output.clipwise * class_mask
    output.framewise = output.framewise * class_mask[:, None, :]


class Objective:
    """Base of the objectives: what training minimises, and what it owns beyond the network.

    Attributes
    ----------
    kept
        Names of `networks`, in their order.
    """

    kept: tuple[str, ...] = ("network",)

    def start(self, network: SedModel, another: Callable[[], SedModel]) -> None:
        """Make what is needed beyond the network, such as a teacher; called once, before weights are taken back.

        Parameters
        ----------
        network
            The one that is trained, on its device.
        another
            Makes a network of the same kind beside it, with random weights of its own.
        """

    def loss(self, context: Context) -> dict[str, Term]:
        """Return the terms of the loss by name; `total` of them is minimised."""
        raise TypeError(f"{type(self).__name__} does not say what it minimises")

    def after_step(self, context: Context) -> None:
        """Do what follows an optimiser step, such as moving a teacher; most objectives do nothing."""

    def networks(self, network: SedModel) -> dict[str, SedModel]:
        """Return the networks to validate and keep, by name; the first one scores unless another is asked for."""
        return {"network": network}

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs beyond the networks: tensors and plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        if state:
            raise UsageError(f"the checkpoint's objective holds {listed(state)}, this one keeps nothing")
