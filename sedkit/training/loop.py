"""The training loop. It knows no system by name: all that it runs comes from the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sedkit.core.errors import SedkitError
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.features.batch import Batch
from sedkit.models.output import SedModel
from sedkit.objectives.base import Context, Objective, Rehearsal, Term, joined, total
from sedkit.objectives.schedules import Schedule
from sedkit.training.distributed import ALONE, Ranks
from sedkit.training.settings import TrainingSettings


class StepBatch(Protocol):
    """The clips of one batch, in the default view (None) and in named ones."""

    def view(self, name: str | None) -> Batch: ...


class StepBatches(Protocol):
    """Where the clips come from."""

    def iterate(self, first: int, last: int) -> Iterator[StepBatch]: ...


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
        Sum over steps of the loss and of each term's mean since the last evaluation, and over how many steps.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    n_sums: int = 0


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
        What is trained, and what it minimises; the network is on its device, the objective is started here.
    batches
        Where the clips come from.
    settings
        The section `training`: a run of `steps` steps, of which those up to `last_step` are done (None: all), each of
        `accumulate` batches.
    dtype
        Type in which autocast computes what it can; weights and optimiser stay float32.
    evaluate
        Called with the record so far every `eval_every` steps and at the end: completes the record, updates `progress`.
    save
        Called every `checkpoint_every` steps, after each evaluation and at the end.
    optimiser
        Of the network's parameters. The learning rate that each group has now is its base rate.
    schedule
        Factor of the base rates, by the share of the run that is done.
    seed
        The objective's random draws follow from it and the step.
    another
        Makes a network of the same kind with random weights of its own, as an objective may need one.
    ranks
        The processes that train together. Evaluations and saving are called in each of them.
    """

    def __init__(
        self,
        network: SedModel,
        objective: Objective,
        batches: StepBatches,
        settings: TrainingSettings,
        dtype: torch.dtype,
        evaluate: Callable[[dict[str, Any]], None],
        save: Callable[[], None],
        optimiser: torch.optim.Optimizer,
        schedule: Schedule,
        seed: int,
        another: Callable[[], SedModel],
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.network, self.objective, self.batches, self.settings = network, objective, batches, settings
        self.dtype, self.evaluate, self.save = dtype, evaluate, save
        self.optimiser, self.schedule, self.seed = optimiser, schedule, seed
        self.device = next(network.parameters()).device
        self.generator = torch.Generator(self.device)
        self.last_step = settings.steps if settings.last_step is None else settings.last_step
        self.progress = Progress()
        self._base_rates = [group["lr"] for group in optimiser.param_groups]
        self._sums: dict[str, Tensor] = {}
        objective.start(network, another)
        self.running = ranks.wrapped(network)
        ranks.part(seed)

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs beyond the networks' weights: tensors and plain data."""
        self._collect()
        return {
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
            "random": self.ranks.gathered(random_state(self.device)),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.objective.load_state_dict(state["objective"])
        if len(state["random"]) == self.ranks.size:
            restore_random_state(state["random"][self.ranks.rank], self.device)
        else:
            log.warning(
                "the run began with %d processes and goes on with %d: what they draw is not what it would have been",
                len(state["random"]),
                self.ranks.size,
            )
        self.progress = Progress(**state["progress"])

    def step(self, *batches: StepBatch) -> dict[str, Tensor]:
        """Do one optimiser step on `training.accumulate` batches.

        Returns
        -------
        the loss as `loss` and, where it has several terms, their means: over the windows of all of them
        """
        now, steps = self.progress, self.settings.steps
        factor = self.schedule(now.step / steps)
        for group, rate in zip(self.optimiser.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        contexts = [
            Context(self.network, None, now.step, steps, self.generator, views.view, self.running) for views in batches
        ]
        figures: dict[str, Tensor] = {}
        self.optimiser.zero_grad(set_to_none=True)
        counted: dict[str, Term] = {}
        for place, context in enumerate(contexts):
            terms = self._terms(context, place)
            counted = counted or self._counted(terms, contexts)
            terms = {name: replace(term, count=counted[name].count) for name, term in terms.items()}
            loss = total(terms)
            loss.backward()
            means = {name: term.mean for name, term in terms.items()} if len(terms) > 1 else {}
            for name, value in {"loss": loss, **means}.items():
                figures[name] = figures[name] + value.detach() if place else value.detach()
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimiser.step()
        self.objective.after_step(contexts[-1])
        now.step += 1
        now.n_sums += 1
        for name, value in figures.items():
            # Summed where they lie: reading a number off a GPU at each step would stall it.
            self._sums[name] = self._sums.get(name, 0.0) + value.double()
        return figures

    def _terms(self, context: Context, place: int) -> dict[str, Term]:
        """Return the terms of the batch at a place of its step."""
        # Seeded anew at each batch: nothing to remember between steps.
        draw = self.ranks.draw(context.step * self.settings.accumulate + place)
        (seed,) = np.random.SeedSequence([self.seed, draw]).generate_state(1, np.uint64).tolist()
        self.generator.manual_seed(seed)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.objective.loss(context)

    def _counted(self, first: dict[str, Term], contexts: list[Context]) -> dict[str, Term]:
        """Return terms with the counts of all batches of a step, of which those of the first one are known.

        The gradients of a batch are of means over all of them, which have to be known before it is forgotten.
        """
        terms = list(first.items())
        with torch.no_grad():
            for place, context in enumerate(contexts[1:], 1):
                terms += self._terms(Rehearsal(context, contexts[0].outputs), place).items()
            return self.ranks.shared(joined(terms))

    def _collect(self) -> None:
        """Move the sums of the loss terms into `progress`."""
        for name, value in self.ranks.mean(self._sums).items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
        self._sums = {}
        if not all(math.isfinite(value) for value in self.progress.sums.values()):
            raise SedkitError(
                f"the loss is not finite at step {self.progress.step} or shortly before: "
                "lower optimiser.learning_rate, or check the features for NaN"
            )

    def _record(self) -> dict[str, Any]:
        self._collect()
        now, n = self.progress, max(1, self.progress.n_sums)
        # That of the section; groups may have others.
        rate = self.optimiser.defaults["lr"] * self.schedule((now.step - 1) / self.settings.steps)
        record = {"step": now.step, "learning_rate": rate, "train": {k: v / n for k, v in now.sums.items()}}
        now.sums, now.n_sums = {}, 0
        return record

    def run(self) -> None:
        """Train to the end, from wherever `progress` is."""
        self.network.train()
        settings, now, last = self.settings, self.progress, self.last_step
        with progress(total=last, description="train", unit="step") as bar:
            bar.update(now.step)
            batches = self.batches.iterate(now.step * settings.accumulate, last * settings.accumulate)
            for of_step in zip(*[batches] * settings.accumulate, strict=True):
                self.step(*of_step)
                bar.update(1)
                if now.step % settings.eval_every == 0 or now.step == last:
                    self.evaluate(self._record())
                    self.save()
                elif now.step % settings.checkpoint_every == 0:
                    self.save()
