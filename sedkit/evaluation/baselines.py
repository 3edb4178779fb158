"""Two outputs that know nothing, to compare a system with: no event at all, and every class active throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Events
from sedkit.dataio.names import stem
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import OperatingPoints, Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric
from sedkit.evaluation.recordings import excerpts_of

if TYPE_CHECKING:
    from sedkit.features.frontends import FrontEnd


@dataclass(frozen=True)
class ConstantMasks:
    """Masks of one value throughout, as `inputs.Masks`."""

    labels: Vocabulary
    frontend: FrontEnd
    value: float
    run: Mapping[str, Any] = field(default_factory=dict)

    def of(self, waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return clip scores (classes,) and masks (classes, frames, bins) of a waveform (samples,)."""
        n_frames = self.frontend.valid_frames(len(waveform) / self.frontend.sample_rate)
        masks = np.full((len(self.labels), n_frames, self.frontend.n_bins), self.value, np.float32)
        return np.full(len(self.labels), self.value, np.float32), masks


def clip_lengths(truth: Truth) -> dict[str, float]:
    """Return the clips that an output can hold events in, with their durations in seconds.

    They are those of the reference and those with a duration only, which have no event. A clip without a duration ends
    nobody knows where: its last reference event would leave out the silence after it, in which every event is false.
    Of an excerpt of a recording with a duration, the name tells.
    """
    durations = dict(truth.durations or {})
    whole = {stem(name) for name in truth.recordings}
    for name, excerpt in excerpts_of(truth.tags.filenames, durations).items():
        if name not in durations and excerpt.recording in whole:
            durations[name] = excerpt.end_s - excerpt.start_s
    absent = [name for name in truth.tags.filenames if name not in durations]
    if absent:
        raise SedkitError(
            f"--baselines: no duration of {absent[0]} ({len(absent)} of {len(truth.tags.filenames)} clips of the "
            "reference), expected all in --durations: an output of every class throughout ends where the clips do"
        )
    return dict.fromkeys(truth.tags.filenames, 0.0) | durations


def baselines(truth: Truth, metrics: Sequence[Metric], options: Options, output: Output) -> dict[str, Any]:
    """Score an output without events, and one with every class active over the whole of every clip.

    Their scores have frames as long as those of `output`, or one a clip; their masks are of the size of its masks.
    """
    seconds, labels, masks = clip_lengths(truth), truth.tags.labels, output.masks
    frame_s = None if output.scores is None else output.scores.frame_s
    out: dict[str, Any] = {}
    for name, active in (("all_negative", False), ("all_positive", True)):
        rows: list[tuple[str, float | None, float | None, str | None]] = []
        for clip, end in seconds.items():
            whole = [(clip, 0.0, end, label) for label in labels] if active and end > 0 else []
            rows += whole or [(clip, None, None, None)]
        made = Events.from_rows(rows, labels, source=name)
        # Constant scores: 1 is above every threshold, 0 below.
        constant = Output(
            made,
            OperatingPoints(name, (0.5,), (made,)),
            _scores(seconds, labels, float(active), frame_s),
            None if masks is None else ConstantMasks(masks.labels, masks.frontend, float(active)),
        )
        out[name] = {}
        for metric in metrics:
            if metric.constants:
                block = metric.plain().settled(constant).measure(Work(truth, constant, options)).block
                block.pop("left_out_of_macro", None)
                out[name][metric.block] = block
    return out


def _scores(seconds: Mapping[str, float], labels: Sequence[str], value: float, frame_s: float | None) -> Scores:
    ends = np.maximum(list(seconds.values()), 1e-3)
    n_frames = np.maximum(np.ceil(ends / (frame_s or np.inf) - 1e-6), 1).astype(np.int64)
    each = zip(n_frames, ends, strict=True)
    return Scores(
        framewise=np.full((len(seconds), n_frames.max(initial=1), len(labels)), value, np.float32),
        n_frames=n_frames,
        duration_s=ends,
        frame_edges_s=tuple(np.append(np.arange(n) * (frame_s or end), end) for n, end in each),
        filenames=tuple(seconds),
        labels=tuple(labels),
        clipwise=np.full((len(seconds), len(labels)), value, np.float32),
        producer="constant",
    )
