"""Mean teacher: a network agrees with the moving average of itself, also on clips without labels.

A. Tarvainen and H. Valpola, "Mean teachers are better role models", NIPS 2017 (arXiv 1703.01780), as the baselines of
DCASE task 4 have it from 2019 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sedkit.core.errors import UsageError, suggest
from sedkit.models.layers import no_autocast
from sedkit.models.output import SedModel, valid_mask
from sedkit.objectives.base import Context, Objective, Term, joined
from sedkit.objectives.bce import WeakStrongOptions, weak_strong
from sedkit.objectives.registry import register
from sedkit.objectives.schedules import build_schedule, resolve_schedule


def ema_factor(step: int, decay: float) -> float:
    """Return how much of the teacher stays at a step: min(1 - 1 / (step + 1), `decay`), a plain mean at first."""
    return min(1 - 1 / (step + 1), decay)


def mean_square(student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Term:
    """Return the squared difference of two networks' probabilities.

    Parameters
    ----------
    student, teacher
        (clips, classes) or (clips, frames, classes).
    valid
        (clips, frames) bool, frames that count; None counts all, as published.

    Returns
    -------
    the mean over classes and frames, summed over clips; with `valid` the mean over classes, summed over frames
    """
    with no_autocast(student):
        error = (student.float() - teacher.float()).square()
        if valid is None:
            return Term(error.flatten(1).mean(dim=1).sum(), len(error))
        return Term((error.mean(dim=2) * valid).sum(), valid.sum())


@dataclass(frozen=True)
class MeanTeacherOptions(WeakStrongOptions):
    """Options of the mean teacher, beside those of the cross-entropies; the defaults are those of DCASE 2021.

    Attributes
    ----------
    consistency
        Greatest weight of the squared differences between student and teacher, on clips and on frames of all streams.
    schedule
        Factor of that weight by the share of the run.
    decay
        Greatest factor of the moving average, see `ema_factor`.
    start
        The teacher begins as a `copy` of the student, or with random weights of its `own` (DCASE 2019).
    averaged
        `parameters`: the teacher's batch norms keep the statistics of what it sees itself (published).
        `parameters_and_buffers`: theirs are averages of the student's, too.
    student_view, teacher_view
        Views (`data.streams.*.views`) that each of them sees; none: the default one.
    selected
        Which of them scores unless the other is asked for.
    agreeing
        Streams on which they are to agree; none: all.
    """

    consistency: float = 2.0
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "ramp", "until": 0.25})
    decay: float = 0.999
    start: Literal["copy", "own"] = "copy"
    averaged: Literal["parameters", "parameters_and_buffers"] = "parameters"
    student_view: str | None = None
    teacher_view: str | None = None
    selected: Literal["student", "teacher"] = "teacher"
    agreeing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.consistency >= 0:
            raise UsageError(f"objective.consistency is {self.consistency}, expected at least 0")
        if not 0 <= self.decay < 1:
            raise UsageError(f"objective.decay is {self.decay}, expected from 0 to below 1")
        object.__setattr__(self, "schedule", resolve_schedule(self.schedule))


@contextmanager
def _same_buffers(network: nn.Module) -> Iterator[None]:
    """Give a network its buffers, such as running means, back as they were."""
    before = [buffer.clone() for buffer in network.buffers()]
    yield
    for buffer, kept in zip(network.buffers(), before, strict=True):
        buffer.copy_(kept)


class MeanTeacher(Objective):
    """Cross-entropies of the student where there are labels, and its distance to the teacher everywhere."""

    def __init__(self, options: MeanTeacherOptions) -> None:
        self.options, self.labelled = options, weak_strong(options)
        self.schedule = build_schedule(options.schedule)
        self.kept = ("student", "teacher") if options.selected == "student" else ("teacher", "student")

    def start(self, network: SedModel, another: Callable[[], SedModel]) -> None:
        own = another() if self.options.start == "own" else network
        self._factor = 0.0
        self.average = AveragedModel(
            own, multi_avg_fn=self._mean, use_buffers=self.options.averaged == "parameters_and_buffers"
        )
        # The initial weights count as the first that are averaged: torch copies where there were none.
        self.average.n_averaged += 1
        # A copy has the weights of recurrent layers one by one: moving it puts them side by side, as cuDNN wants them.
        self.teacher = self.average.module.to(next(network.parameters()).device).requires_grad_(False)
        # Published teachers have dropout, and the batch norms' statistics of the batch.
        self.teacher.train()

    def networks(self, network: SedModel) -> dict[str, SedModel]:
        both = {"student": network, "teacher": self.teacher}
        return {name: both[name] for name in self.kept}

    def loss(self, context: Context) -> dict[str, Term]:
        """Return the terms `clip` and `frame` of the student, and `clip_consistency` and `frame_consistency`.

        Where a network is evaluated, be it the teacher, nothing is there to agree with: only the former.
        """
        options, pooling = self.options, context.network.time_pooling
        if not context.network.training:
            return self.labelled.loss(context)
        student, batch = context.forward(options.student_view), context.view(options.student_view)
        with torch.no_grad(), _same_buffers(self.teacher) if self.average.use_buffers else nullcontext():
            teacher = context.forward(options.teacher_view, self.teacher)
        terms: list[tuple[str, Term]] = list(self.labelled.terms(batch, student, pooling).items())
        weight = options.consistency * self.schedule(context.share)
        absent = [name for name in options.agreeing if name not in batch]
        if absent:
            raise UsageError(f"objective.agreeing: no stream {absent[0]!r}{suggest(absent[0], batch)} in data.streams")
        for name in options.agreeing or batch:
            stream = batch[name]
            clip = mean_square(student[name].clipwise, teacher[name].clipwise)
            frames, valid = student[name].framewise, None
            if options.padding == "leave_out":
                valid = valid_mask(stream.n_frames, pooling, frames.shape[1])
            frame = mean_square(frames, teacher[name].framewise, valid)
            terms += [
                ("clip_consistency", replace(clip, weight=weight)),
                ("frame_consistency", replace(frame, weight=weight)),
            ]
        return joined(terms)

    @torch.no_grad()
    def after_step(self, context: Context) -> None:
        """Move the teacher towards the student."""
        self._factor = ema_factor(context.step + 1, self.options.decay)
        with nullcontext() if self.average.use_buffers else _same_buffers(self.teacher):
            self.average.update_parameters(context.network)

    def _mean(self, averaged: Any, current: Any, _: Any) -> None:
        get_ema_multi_avg_fn(self._factor)(averaged, current, _)


@register("mean_teacher", MeanTeacherOptions)
def _build(options: MeanTeacherOptions) -> Objective:
    return MeanTeacher(options)
