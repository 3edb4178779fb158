"""What objectives see of a step, and what they hand back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sedkit.core.errors import UsageError
from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, Objective, Term, total

FIELDS = ("clipwise", "framewise", "masks", "reconstruction")


class Everything(SedModel):
    """Returns every field of the output, each made from its own clip."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        self.calls += 1
        assert n_frames is not None
        level = torch.sigmoid(x.mean(dim=(1, 2)) * self.scale)
        return SedOutput(
            clipwise=level[:, None].expand(-1, 3),
            framewise=torch.sigmoid(x[:, :, :3]),
            masks=torch.stack([x, -x, 2 * x], dim=1),
            reconstruction=x * self.scale,
            attention={"time": torch.softmax(x, dim=1), "length": n_frames[:, None].float()},
        )


class Wrapper(nn.Module):
    """As torch.nn.parallel.DistributedDataParallel: runs a module that it holds."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, *arguments: torch.Tensor) -> SedOutput:
        self.calls += 1
        output: SedOutput = self.module(*arguments)
        return output


def streams(seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    return {
        name: StreamBatch(torch.randn(n, 8, 5, generator=draw), torch.arange(n) + 1, None, None)
        for name, n in (("weak", 2), ("strong", 3), ("unlabelled", 1))
    }


def context(network: SedModel, **more: object) -> Context:
    return Context(network, streams(), 3, 12, torch.Generator(), **more)  # type: ignore[arg-type]


def assert_streams_alone(outputs: dict[str, SedOutput], network: SedModel, batch: Batch) -> None:
    """Compare each stream's output with what the network makes of that stream alone."""
    assert list(outputs) == list(batch)
    for name, stream in batch.items():
        alone = network(stream.features, stream.n_frames)
        for field in FIELDS:
            assert torch.equal(getattr(outputs[name], field), getattr(alone, field)), (name, field)
        assert outputs[name].attention.keys() == alone.attention.keys()
        for key, weights in alone.attention.items():
            assert torch.equal(outputs[name].attention[key], weights), (name, key)


def test_every_field_comes_apart_by_stream_in_one_pass() -> None:
    network = Everything()
    outputs = context(network).forward()
    assert network.calls == 1
    assert_streams_alone(outputs, network, streams())


def test_a_field_that_a_network_does_not_give_stays_absent() -> None:
    class Clips(SedModel):
        def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
            return SedOutput(x.mean(dim=1), x)

    out = context(Clips()).forward()["strong"]
    assert out.clipwise.shape == (3, 5)
    assert (out.masks, out.reconstruction, out.attention) == (None, None, None)


def test_a_named_view_is_made_once_and_runs_through_any_network() -> None:
    network, asked = Everything(), []
    teacher = copy.deepcopy(network)
    with torch.no_grad():
        teacher.scale.fill_(0.5)

    def views(name: str) -> Batch:
        asked.append(name)
        return streams(seed=1)

    step = context(network, views=views)
    assert_streams_alone(step.forward("noisy"), network, streams(seed=1))
    assert_streams_alone(step.forward("noisy", teacher), teacher, streams(seed=1))
    assert_streams_alone(step.forward(network=teacher), teacher, streams())
    assert step.view(None) is step.batch
    assert step.view("noisy") is step.view("noisy")
    assert asked == ["noisy"]
    with pytest.raises(UsageError, match="asks for the view 'noisy'"):
        context(network).view("noisy")


def test_wrappers_run_and_stay_out_of_sight() -> None:
    network = Everything()
    wrapper = Wrapper(network)
    step = context(network, wrapped=wrapper)
    assert step.network is network
    assert_streams_alone(step.forward(), network, streams())
    assert wrapper.calls == 1
    step.forward(network=copy.deepcopy(network))
    assert wrapper.calls == 1, "another network runs as it is"


def test_a_compiled_network_gives_the_same_through_its_bare_one() -> None:
    network = Everything()
    compiled = torch.compile(network, backend="eager")
    step = context(network, wrapped=compiled)
    assert_streams_alone(step.forward(), network, streams())
    assert type(step.network) is Everything


def test_streams_of_different_lengths_are_told_by_name() -> None:
    batch = streams() | {"long": StreamBatch(torch.randn(1, 9, 5), torch.tensor([9]), None, None)}
    with pytest.raises(UsageError, match=r"weak \(8, 5\).*long \(9, 5\).*the same window"):
        Context(Everything(), batch, 0, 1, torch.Generator()).forward()


def test_share_of_the_run() -> None:
    assert context(Everything()).share == 0.25


def test_terms_are_means_of_what_they_count() -> None:
    a, b = Term(torch.tensor(6.0), 4, weight=2.0), Term(torch.tensor(1.0), torch.tensor(3), weight=2.0)
    assert float(a.mean) == 1.5
    joined = a + b
    assert (float(joined.sum), int(joined.count), joined.weight) == (7.0, 7, 2.0)
    nothing = [Term(torch.tensor(0.0), count, weight=5.0) for count in (0, torch.tensor(0))]
    assert [float(term.mean) for term in nothing] == [0.0, 0.0]
    terms = {"a": a, "b": Term(torch.tensor(9.0), 3, weight=0.5), "none": nothing[0]}
    assert float(total(terms)) == 2.0 * 1.5 + 0.5 * 3.0


def test_an_objective_that_minimises_nothing_says_so() -> None:
    with pytest.raises(TypeError, match="Objective does not say what it minimises"):
        Objective().loss(context(Everything()))


def test_classes_that_a_set_is_not_annotated_for_are_0() -> None:
    network, batch = Everything(), streams()
    known = torch.tensor([[True, False, True]]).expand(3, -1)
    batch["strong"].class_mask = known
    free = Context(network, streams(), 0, 1, torch.Generator()).forward()
    masked = Context(network, batch, 0, 1, torch.Generator()).forward()
    assert (masked["strong"].clipwise[:, 1] == 0).all() and (masked["strong"].framewise[:, :, 1] == 0).all()
    assert torch.equal(masked["strong"].framewise[:, :, [0, 2]], free["strong"].framewise[:, :, [0, 2]])
    assert torch.equal(masked["weak"].clipwise, free["weak"].clipwise)
