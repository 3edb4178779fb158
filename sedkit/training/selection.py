"""Figures along the way, by which a checkpoint is the best one: of each stream that is held out, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.scores import Scores
from sedkit.evaluation import ranking
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import all_metrics
from sedkit.evaluation.metrics.partial_auc import SegmentAucParameters, Segments, cut_segments, partial_auc
from sedkit.features.batch import StreamBatch
from sedkit.features.normalise import Normalisation
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.objectives.base import Context, Objective, total
from sedkit.postprocessing import decode, read_postprocessing
from sedkit.training.streams import Stream


@dataclass
class Outputs:
    """What a network says of a stream's windows, and what is true.

    Attributes
    ----------
    stream, at
        The stream, and which of its windows.
    network
        Left in the mode in which it came.
    classes
        Of the columns.
    rules
        Post-processing for figures of events, as `sedkit decode` takes it.
    clipwise, framewise
        (n, classes), (n, frames, classes) probabilities.
    clip_target, frame_target
        (n, classes), (n, frames, classes) or empty; a network frame is positive where at least half of it is.
    valid
        (n, frames) bool, network frames that the recording fills.
    loss
        The objective's own, where it can be computed on the stream alone.
    """

    stream: Stream
    at: NDArray[np.int64]
    network: SedModel
    classes: Sequence[str]
    rules: str = "0.5"
    clipwise: list[NDArray[np.float32]] = field(default_factory=list)
    framewise: list[NDArray[np.float32]] = field(default_factory=list)
    clip_target: list[NDArray[np.bool_]] = field(default_factory=list)
    frame_target: list[NDArray[np.bool_]] = field(default_factory=list)
    valid: list[NDArray[np.bool_]] = field(default_factory=list)
    loss: float | None = None

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(classes,): those that any set of the stream is annotated for."""
        masks = [s.targets.mask for s in self.stream.sets]
        every = np.ones(len(self.classes), dtype=bool)
        return np.any([every if mask is None else mask for mask in masks], axis=0)


def average_precision(scores: NDArray[np.float32], target: NDArray[np.bool_]) -> float | None:
    """Macro average precision over the classes that occur (scikit-learn's definition); None where none does.

    Parameters
    ----------
    scores, target
        (items, classes)
    """
    present, once = target.any(axis=0), np.ones(len(target))
    if not present.any():
        return None
    counts = (ranking.cumulative(*of, once) for of in zip(scores[:, present].T, target[:, present].T, strict=True))
    return float(np.mean([ranking.average_precision(true, false) for true, false in counts]))


def _clip_map(outputs: Outputs) -> float | None:
    if not outputs.clip_target:
        return None
    return average_precision(np.concatenate(outputs.clipwise), np.concatenate(outputs.clip_target))


def _frame_map(outputs: Outputs) -> float | None:
    if not outputs.frame_target:
        return None
    valid = np.concatenate(outputs.valid)
    scores, target = np.concatenate(outputs.framewise), np.concatenate(outputs.frame_target)
    return average_precision(scores[valid], target[valid])


def _clip_f1(outputs: Outputs) -> float | None:
    """Macro F1 of the tags at 0.5; a class without a true and a predicted clip counts 0."""
    if not outputs.clip_target:
        return None
    known = outputs.annotated
    tags, target = np.concatenate(outputs.clipwise)[:, known] > 0.5, np.concatenate(outputs.clip_target)[:, known]
    hits, both = (tags & target).sum(axis=0), tags.sum(axis=0) + target.sum(axis=0)
    return float(np.mean(2 * hits / np.maximum(both, 1)))


def _decoded(metric: str) -> Callable[[Outputs], float | None]:
    """Return the figure that a metric gives to decoded events, each window being a clip of its own."""

    def figure(outputs: Outputs) -> float | None:
        if any(s.targets.events is None for s in outputs.stream.sets):
            return None
        scores, events = _as_clips(outputs)
        estimate = decode(scores, read_postprocessing(outputs.rules, scores.labels))
        durations = dict(zip(scores.filenames, scores.duration_s.tolist(), strict=True))
        present = np.zeros((len(scores.filenames), len(scores.labels)), dtype=bool)
        present[events.clip, events.label] = True
        truth = Truth(events, Tags(events.filenames, events.labels, present), durations)
        chosen = all_metrics()[metric]
        # A class that is never found counts as 0: left out, it would do a network good that finds little.
        options = Options(undefined="zero", overlaps="merge")
        block = chosen.measure(Work(truth, Output(estimate=estimate), options)).block
        value = block["macro"][chosen.primary]
        return None if value is None else float(value)

    return figure


def _of_segments(figure: Callable[[Segments], NDArray[np.float64]]) -> Callable[[Outputs], float | None]:
    """Return the mean of a figure of segments of a second over the classes that occur, each window being a clip."""

    def mean(outputs: Outputs) -> float | None:
        if any(s.targets.events is None for s in outputs.stream.sets):
            return None
        scores, events = _as_clips(outputs)
        durations = dict(zip(scores.filenames, scores.duration_s.tolist(), strict=True))
        classes = figure(cut_segments(events, scores, durations, SegmentAucParameters()))
        return None if np.isnan(classes).all() else float(np.nanmean(classes))

    return mean


def _partial_areas(segments: Segments) -> NDArray[np.float64]:
    return partial_auc(segments, SegmentAucParameters())[1]


def _best_f1(segments: Segments) -> NDArray[np.float64]:
    weight = np.ones(len(segments.clip))
    pairs = zip(segments.score.T, segments.target.T, strict=True)
    return np.array([ranking.best_f1(*ranking.cumulative(score, target, weight)) for score, target in pairs])


def _as_clips(outputs: Outputs) -> tuple[Scores, Events]:
    """Return scores and true events of the windows, each a clip of its own, of the classes that are annotated."""
    framewise = np.concatenate(outputs.framewise)
    names = tuple(f"{i}.wav" for i in range(len(framewise)))
    first = np.cumsum([0, *(len(s.windows) for s in outputs.stream.sets)])
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    durations = np.zeros(len(names))
    for i, at in enumerate(outputs.at.tolist()):
        which = int(np.searchsorted(first, at, side="right")) - 1
        windows, events = outputs.stream.sets[which].windows, outputs.stream.sets[which].targets.events
        assert events is not None
        window = windows.take(np.array([at - first[which]]))
        start_s, durations[i] = float(window.onset_s()[0]), window.valid[0] / window.grid.frame_rate_hz
        rows.append((names[i], None, None, None))
        for j in np.flatnonzero(events.clip == window.recording[0]):
            onset_s = max(0.0, float(events.onset_s[j]) - start_s)
            offset_s = min(durations[i], float(events.offset_s[j]) - start_s)
            if onset_s < offset_s:
                rows.append((names[i], onset_s, offset_s, events.labels[events.label[j]]))
    grid = outputs.stream.sets[0].source.frontend.grid.pooled(outputs.network.time_pooling)
    scores = Scores(
        framewise=framewise,
        n_frames=np.concatenate(outputs.valid).sum(axis=1),
        duration_s=durations,
        frame_edges_s=grid.edges_s(framewise.shape[1]),
        filenames=names,
        labels=tuple(outputs.classes),
        clipwise=np.concatenate(outputs.clipwise),
    )
    known = [label for label, is_known in zip(outputs.classes, outputs.annotated, strict=True) if is_known]
    return scores.keep_labels(known), Events.from_rows(rows, tuple(outputs.classes)).keep_labels(known)


#: Figures of a stream by name; the higher the better.
FIGURES: dict[str, Callable[[Outputs], float | None]] = {
    "clip_map": _clip_map,
    "frame_map": _frame_map,
    "clip_f1": _clip_f1,
    "segment_best_f1": _of_segments(_best_f1),
    "segment_pauc": _of_segments(_partial_areas),
    "loss": lambda outputs: None if outputs.loss is None else -outputs.loss,
    **{f"{metric}_f1": _decoded(metric) for metric in ("event", "segment", "intersection")},
}


def check_figures(figures: Iterable[str], where: str = "selection.figures") -> None:
    """Raise UsageError for a figure that nobody computes."""
    for name in figures:
        if name not in FIGURES:
            raise UsageError(f"{where}: {name!r}{suggest(name, FIGURES)}, expected one of {listed(FIGURES, 9)}")


@torch.inference_mode()
def evaluate(
    network: SedModel,
    stream: Stream,
    normalise: Normalisation,
    objective: Objective,
    dtype: torch.dtype,
    classes: Sequence[str],
    figures: Iterable[str] = ("clip_map", "frame_map"),
    *,
    batch_size: int = 16,
    most: int | None = None,
    rules: str = "0.5",
) -> dict[str, float]:
    """Evaluate a network on a stream.

    Parameters
    ----------
    network
        Left in the mode in which it came.
    objective
        Its loss is computed where the stream has what it needs.
    dtype
        Type of the convolutions.
    figures
        Of `FIGURES`.
    most
        At most this many windows, evenly spread; None takes all.
    rules
        Post-processing for figures of events.

    Returns
    -------
    `loss` and the figures; one that does not exist is left out.
    """
    device = next(network.parameters()).device
    at = np.arange(len(stream))
    if most is not None and len(at) > most:
        at = np.unique(np.linspace(0, len(stream) - 1, most).astype(np.int64))
    training = network.training
    network.eval()
    outputs = Outputs(stream, at, network, classes, rules)
    losses: list[float] | None = []
    for first in range(0, len(at), batch_size):
        batch = stream.read(at[first : first + batch_size]).map(lambda x: x.to(device))
        assert batch.features is not None
        batch.features = normalise(batch.features, batch.n_frames)
        context = _Evaluated(network, {stream.name: batch}, 0, 1, torch.Generator(device).manual_seed(0))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = context.forward()[stream.name]
            if losses is not None:
                try:
                    losses.append(float(total(objective.loss(context))) * len(batch))
                except UsageError:
                    # The objective compares with targets, or between streams, that this one has not.
                    losses = None
        _collect(outputs, output, batch.map(lambda x: x.cpu()), network.time_pooling)
    network.train(training)
    outputs.loss = sum(losses) / len(at) if losses is not None else None
    values = {} if outputs.loss is None else {"loss": outputs.loss}
    for name in figures:
        value = FIGURES[name](outputs)
        if value is not None and name != "loss":
            values[name] = value
    return values


class _Evaluated(Context):
    """A context whose streams go through the network once, however often its objective asks."""

    def forward(self, view: str | None = None, network: torch.nn.Module | None = None) -> dict[str, SedOutput]:
        if view is not None or network is not None:
            return super().forward(view, network)
        if not hasattr(self, "_outputs"):
            self._outputs = super().forward()
        return self._outputs


def _collect(outputs: Outputs, output: SedOutput, batch: StreamBatch, pooling: int) -> None:
    framewise = output.framewise.float().cpu().numpy()
    n_out = framewise.shape[1]
    outputs.clipwise.append(output.clipwise.float().cpu().numpy())
    outputs.framewise.append(framewise)
    outputs.valid.append(valid_mask(batch.n_frames, pooling, n_out).numpy())
    if batch.clip_target is not None:
        outputs.clip_target.append(batch.clip_target.numpy() > 0.5)
    if batch.frame_target is not None:
        covered = torch.nn.functional.pad(
            batch.frame_target, (0, 0, 0, max(0, n_out * pooling - batch.frame_target.shape[1]))
        )
        blocks = covered[:, : n_out * pooling].reshape(len(batch), n_out, pooling, -1)
        outputs.frame_target.append(blocks.mean(dim=2).numpy() >= 0.5)
