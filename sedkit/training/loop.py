"""The training loop. It knows no system by name: network and objective come from the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from sedkit.core.errors import SedkitError
from sedkit.core.parallel import progress
from sedkit.models.output import SedModel
from sedkit.objectives.base import Objective
from sedkit.training.batches import Batches
from sedkit.training.settings import TrainingSettings


@dataclass
class Progress:
    """Where a run is; plain data, kept in the checkpoint.

    Attributes
    ----------
    step
        Steps done.
    best, best_step
        The best figure of the selection part so far and where it was; None before the first evaluation.
    sums, n_sums
        Sum of each loss term since the last evaluation, and over how many steps.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    n_sums: int = 0


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Return the rate of a step (0 is the first): `learning_rate` * `lr_factor` ** (step // `lr_every`)."""
    decays = int(step // settings.lr_every) if settings.lr_every else 0
    return settings.learning_rate * settings.lr_factor**decays


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of the random generators that networks and objectives draw from: torch's.

    Python's own is left out: libraries draw from it on their first use, so it differs between equal runs.
    """
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Take back what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


class Loop:
    """Optimiser steps, with evaluations and checkpoints at their steps.

    Parameters
    ----------
    network, objective
        What is trained, and what it minimises; the network is on its device.
    batches
        Where the clips come from.
    settings
        The section `training`.
    dtype
        Type of the convolutions; weights and optimiser stay float32.
    evaluate
        Called with the record so far every `eval_every` steps and at the end: completes the record, updates `progress`.
    save
        Called every `checkpoint_every` steps, after each evaluation and at the end.
    """

    def __init__(
        self,
        network: SedModel,
        objective: Objective,
        batches: Batches,
        settings: TrainingSettings,
        dtype: torch.dtype,
        evaluate: Callable[[dict[str, Any]], None],
        save: Callable[[], None],
    ) -> None:
        self.network, self.objective, self.batches, self.settings = network, objective, batches, settings
        self.dtype, self.evaluate, self.save = dtype, evaluate, save
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.Adam(
            network.parameters(),
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            amsgrad=settings.amsgrad,
            fused=True,
        )
        self.progress = Progress()
        self._sums: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs beyond the networks' weights: tensors and plain data."""
        self._collect()
        return {
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state_dict(),
            "random": random_state(self.device),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.objective.load_state_dict(state["objective"])
        restore_random_state(state["random"], self.device)
        # Checkpoints of earlier versions also hold the number of steps.
        self.progress = Progress(**{f.name: state["progress"][f.name] for f in fields(Progress)})

    def step(self, batch: Any) -> dict[str, Tensor]:
        """Do one optimiser step and return the loss terms."""
        now = self.progress
        rate = learning_rate(self.settings, now.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            terms = self.objective.loss(self.network, batch, now.step)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self.objective.after_step(self.network, now.step)
        now.step += 1
        now.n_sums += 1
        for name, value in terms.items():
            # Summed where they lie: reading a number off a GPU at each step would stall it.
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().double()
        return terms

    def _collect(self) -> None:
        """Move the sums of the loss terms into `progress`."""
        for name, value in self._sums.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + float(value)
        self._sums = {}
        if not all(math.isfinite(value) for value in self.progress.sums.values()):
            raise SedkitError(
                f"the loss is not finite at step {self.progress.step} or shortly before: "
                "lower training.learning_rate, or check the features for NaN"
            )

    def _record(self) -> dict[str, Any]:
        self._collect()
        now, n = self.progress, max(1, self.progress.n_sums)
        rate = learning_rate(self.settings, max(0, now.step - 1))
        record = {"step": now.step, "learning_rate": rate, "train": {k: v / n for k, v in now.sums.items()}}
        now.sums, now.n_sums = {}, 0
        return record

    def run(self) -> None:
        """Train to the end, from wherever `progress` is."""
        self.network.train()
        settings, now = self.settings, self.progress
        with progress(total=settings.steps, description="train", unit="step") as bar:
            bar.update(now.step)
            for batch in self.batches.iterate(now.step, settings.steps):
                self.step(batch)
                bar.update(1)
                if now.step % settings.eval_every == 0 or now.step == settings.steps:
                    self.evaluate(self._record())
                    self.save()
                elif now.step % settings.checkpoint_every == 0:
                    self.save()
