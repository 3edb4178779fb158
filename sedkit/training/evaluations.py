"""The evaluations of a run: each network on what is selected on and on what is drawn, and which step was the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.normalise import Normalisation
from sedkit.models.output import SedModel
from sedkit.objectives.base import Objective
from sedkit.training.loop import Progress
from sedkit.training.plan import Plan
from sedkit.training.selection import evaluate
from sedkit.training.streams import Stream

#: A side of a record: network -> stream -> figure -> value.
Figures = dict[str, dict[str, dict[str, float]]]


class Evaluations:
    """What is computed every `eval_every` steps.

    Parameters
    ----------
    plan
        The run's settings.
    objective, network
        Whose networks are evaluated.
    select, draw
        Streams that decide, and streams for the curves alone.
    normalise, dtype
        As in training.
    labels
        Of the networks' columns.
    """

    def __init__(
        self,
        plan: Plan,
        objective: Objective,
        network: SedModel,
        select: Mapping[str, Stream],
        draw: Mapping[str, Stream],
        normalise: Normalisation,
        dtype: torch.dtype,
        labels: Vocabulary,
    ) -> None:
        self.objective, self.network, self.select, self.draw = objective, network, select, draw
        self.normalise, self.dtype, self.labels, self.plan = normalise, dtype, labels, plan
        self.chosen = {name: plan.selection.figures.get(name, "clip_map") for name in select}

    def complete(self, record: dict[str, Any], now: Progress) -> bool:
        """Add the figures to a record; tell whether these are the best so far, which `now` then remembers."""
        data = self.plan.data
        record["select"] = self._figures(self.select, None, {name: (figure,) for name, figure in self.chosen.items()})
        record["draw"] = self._figures(self.draw, data.draw_clips, dict.fromkeys(self.draw, data.draw_figures))
        if not self.select:
            return False
        selection = self.plan.selection
        deciding = selection.network or next(iter(record["select"]))
        figure = float(now.step) if selection.name == "last" else self._sum(record["select"][deciding])
        if now.best is not None and figure <= now.best:
            return False
        now.best, now.best_step = figure, now.step
        record["best"] = deciding
        return True

    def _figures(
        self, streams: Mapping[str, Stream], most: int | None, further: Mapping[str, Sequence[str]]
    ) -> Figures:
        return {
            name: {
                key: evaluate(
                    network,
                    stream,
                    self.normalise,
                    self.objective,
                    self.dtype,
                    self.labels.labels,
                    dict.fromkeys(("clip_map", "frame_map", *further[key])),
                    batch_size=max(self.plan.training.batch_size, 16),
                    most=most,
                    rules=self.plan.selection.postprocessing,
                )
                for key, stream in streams.items()
            }
            for name, network in self.objective.networks(self.network).items()
        }

    def _sum(self, rows: Mapping[str, Mapping[str, float]]) -> float:
        """Return the sum of the chosen figures of the streams, the higher the better."""
        for stream, figure in self.chosen.items():
            if figure not in rows[stream]:
                raise SedkitError(
                    f"selection: {figure}, which data.select.{stream} does not give: no clip of it has labels, or the "
                    "target is another"
                )
        return float(sum(-rows[s][f] if f == "loss" else rows[s][f] for s, f in self.chosen.items()))


def described(record: Mapping[str, Any]) -> str:
    """Return a record in a line, for people."""
    shown = [f"loss {record['train'].get('loss', float('nan')):.4f}"]
    shown += [
        f"{f'{name} ' if len(record[side]) > 1 else ''}{side} {key} {figure} {value:.3f}"
        for side in ("select", "draw")
        for name, by_stream in record[side].items()
        for key, row in by_stream.items()
        for figure, value in row.items()
        if figure != "loss"
    ]
    return f"step {record['step']}: {', '.join(shown)}{' (best)' if 'best' in record else ''}"
