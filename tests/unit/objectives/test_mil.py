"""Multiple-instance learning against scikit-learn, known answers and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity

from sedkit.core.errors import UsageError
from sedkit.features.batch import StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, total
from sedkit.objectives.mil import cosine_penalty
from sedkit.objectives.registry import build_objective


def by_sklearn(p: np.ndarray, y: np.ndarray) -> float:
    """The penalty of one clip, class by class, as the paper writes it."""
    similarity = cosine_similarity((p * y).T)
    positive = np.flatnonzero(y)
    return sum(similarity[c, other] for c in positive for other in positive if other != c) / len(y)


@pytest.mark.parametrize("seed", range(5))
def test_the_penalty_is_scikit_learns_cosine_similarity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.random((6, 431, 10)), (rng.random((6, 10)) < 0.35).astype(float)
    term = cosine_penalty(torch.tensor(p, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
    assert float(term.sum) == pytest.approx(sum(map(by_sklearn, p, y)), rel=1e-5)
    assert term.count == 6


def test_the_penalty_of_two_equal_curves_is_a_fiftieth() -> None:
    """a = 0.1, two positives of ten classes: 0.1 x 2 / 10."""
    p = torch.rand(1, 40, 10)
    p[..., 7] = p[..., 3] / 2
    y = torch.zeros(1, 10)
    y[0, [3, 7]] = 1
    assert 0.1 * float(cosine_penalty(p, y).mean) == pytest.approx(0.02, rel=1e-6)
    p[:, :20, 3], p[:, 20:, 7] = 0.0, 0.0
    assert float(cosine_penalty(p, y).mean) == 0.0


@pytest.mark.parametrize("positive", [[], [4]])
def test_fewer_than_two_positives_have_no_penalty(positive: list[int]) -> None:
    p, y = torch.rand(1, 40, 10, requires_grad=True), torch.zeros(1, 10)
    y[0, positive] = 1
    term = cosine_penalty(p, y)
    term.sum.backward()
    assert term.sum.item() == 0.0 and not p.grad.any()


def test_frames_that_do_not_count() -> None:
    torch.manual_seed(1)
    p, y = torch.rand(2, 30, 4), torch.tensor([[1.0, 1, 0, 1], [1, 1, 1, 1]])
    valid = torch.arange(30)[None] < torch.tensor([30, 11])[:, None]
    cut = [by_sklearn(p[0].numpy(), y[0].numpy()), by_sklearn(p[1, :11].numpy(), y[1].numpy())]
    assert float(cosine_penalty(p, y, valid).mean) == pytest.approx(np.mean(cut), rel=1e-5)


class Frames(SedModel):
    """Gives its weights as frame probabilities."""

    def __init__(self, framewise: torch.Tensor) -> None:
        super().__init__()
        self.framewise = torch.nn.Parameter(framewise)

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        return SedOutput(self.framewise.amax(dim=1), self.framewise)


def losses(network: SedModel, y: torch.Tensor | None, n_frames: list[int], **options: object) -> dict[str, float]:
    n = len(n_frames)
    stream = StreamBatch(torch.zeros(n, max(n_frames), 2), torch.tensor(n_frames), y, None)
    terms = build_objective({"name": "mil", **options}).loss(
        Context(network, {"weak": stream}, 0, 1, torch.Generator())
    )
    loss = total(terms)
    loss.backward()
    return {name: term.mean.item() for name, term in terms.items()} | {"loss": loss.item()}


def test_terms_by_scikit_learns_log_loss() -> None:
    rng = np.random.default_rng(0)
    p, y = rng.uniform(0.05, 0.95, (3, 20, 4)), (rng.random((3, 4)) < 0.6).astype(float)
    network, target = Frames(torch.tensor(p, dtype=torch.float32)), torch.tensor(y, dtype=torch.float32)
    figures = losses(network, target, [20, 20, 20], cosine=0.1, mean=0.5, minimum=0.25)
    assert figures["maximum"] == pytest.approx(log_loss(y.ravel(), p.max(axis=1).ravel()), rel=1e-5)
    assert figures["minimum"] == pytest.approx(-np.log(1 - p.min(axis=1)).mean(), rel=1e-5)
    # A target of one half is as good as one clip with the class and one without.
    q = p.mean(axis=1)
    half = -(y / 2 * np.log(q) + (1 - y / 2) * np.log(1 - q)).mean()
    assert figures["mean"] == pytest.approx(half, rel=1e-5)
    assert figures["cosine"] == pytest.approx(np.mean(list(map(by_sklearn, p, y))), rel=1e-5)
    parts = (
        figures[name] * weight for name, weight in (("maximum", 1), ("mean", 0.5), ("minimum", 0.25), ("cosine", 0.1))
    )
    assert figures["loss"] == pytest.approx(sum(parts), rel=1e-6)
    assert set(losses(network, target, [20, 20, 20])) == {"maximum", "loss"}


def test_padding() -> None:
    p = torch.full((2, 8, 3), 0.2)
    p[1, 6:] = 0.9
    y = torch.tensor([[1.0, 0, 0], [1, 1, 0]])
    network = Frames(p)
    counted = losses(network, y, [8, 5])["maximum"]
    left_out = losses(network, y, [8, 5], padding="leave_out")["maximum"]
    by_hand = lambda last: -np.log([0.2, 0.8, 0.8, last, last, 1 - last]).mean()  # noqa: E731
    assert counted == pytest.approx(by_hand(0.9), rel=1e-5)
    assert left_out == pytest.approx(by_hand(0.2), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-20])
def test_gradients_are_finite_for_constant_scores(value: float, dtype: torch.dtype) -> None:
    network = Frames(torch.full((2, 12, 5), value, dtype=dtype))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        figures = losses(network, torch.ones(2, 5), [12, 12], cosine=0.1, mean=1.0, minimum=1.0)
    assert np.isfinite(list(figures.values())).all()
    assert torch.isfinite(network.framewise.grad).all()


def test_a_step_against_the_penalty_parts_the_classes() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 50, 10, requires_grad=True)
    y = torch.zeros(1, 10)
    y[0, [0, 1, 2]] = 1
    before = cosine_penalty(torch.sigmoid(logits), y).mean.item()
    for _ in range(50):
        cosine_penalty(torch.sigmoid(logits), y).mean.backward()
        with torch.no_grad():
            logits -= 20 * logits.grad
        logits.grad = None
    assert cosine_penalty(torch.sigmoid(logits), y).mean.item() < 0.5 * before


def test_refused() -> None:
    with pytest.raises(UsageError, match="objective.cosine is -1"):
        build_objective({"name": "mil", "cosine": -1.0})
    with pytest.raises(UsageError, match="no stream has clip targets"):
        losses(Frames(torch.rand(1, 4, 2)), None, [4])
