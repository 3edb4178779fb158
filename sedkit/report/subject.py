"""What is known of a recording and what a network says of it: everything that its figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.dataio.names import renamed
from sedkit.dataio.scores import Scores
from sedkit.features.frontends import FrontEnd
from sedkit.postprocessing import decode, read_postprocessing
from sedkit.synthesis.mixture_set import SCENE, Mixtures, Places

if TYPE_CHECKING:
    from sedkit.inference.masks import MaskPredictor, NetworkOutput

Floats = NDArray[np.float32]


class Span(NamedTuple):
    """An event of a recording, in seconds."""

    label: str
    onset_s: float
    offset_s: float


@dataclass(frozen=True)
class Subject:
    """A recording.

    Attributes
    ----------
    filename
        As the data dir has it.
    frontend
        Of the network.
    waveform
        (samples,) full scale 1, at the front end's rate.
    scores
        Of this recording alone; their labels are the network's.
    present
        Classes of the network that occur in it; None where that is not known.
    truth, decoded
        Events of the network's classes that are there, and that post-processing finds; None where there is none.
    stems
        Waveforms by label and `scene`, of a rendered mixture.
    masks
        (classes, frames, bins) on the front end's frames, of a network that has masks.
    output
        Everything that such a network says of a recording of one window.
    lacks
        Why there is none of `present`, `truth`, `decoded`, `stems`, `masks`, `reconstruction` or `attention` (in two
        steps, of `output`).
    """

    filename: str
    frontend: FrontEnd
    waveform: Floats
    scores: Scores
    present: frozenset[str] | None = None
    truth: tuple[Span, ...] | None = None
    decoded: tuple[Span, ...] | None = None
    stems: dict[str, Floats] | None = None
    masks: Floats | None = None
    output: NetworkOutput | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The filename, which its figures are named after."""
        return self.filename

    @property
    def labels(self) -> tuple[str, ...]:
        """The network's classes."""
        return self.scores.labels

    @property
    def duration_s(self) -> float:
        """Seconds of the recording."""
        return float(self.scores.duration_s[0])

    @property
    def clipwise(self) -> Floats:
        """(classes,) clip scores."""
        assert self.scores.clipwise is not None
        return np.asarray(self.scores.clipwise[0], dtype=np.float32)

    @property
    def framewise(self) -> Floats:
        """(frames, classes) frame scores at the network's resolution."""
        return np.asarray(self.scores.framewise[0, : self.scores.n_frames[0]], dtype=np.float32)

    @property
    def edges_s(self) -> NDArray[np.float64]:
        """(frames + 1,) seconds between which the frames of the scores lie; the last may reach beyond the end."""
        return np.asarray(self.scores.frame_edges_s, dtype=np.float64)[: self.scores.n_frames[0] + 1]

    @property
    def valid_frames(self) -> int:
        """Frames of the features that the recording fills."""
        return self.frontend.valid_frames(self.duration_s)

    def is_present(self, label: str) -> bool:
        """Tell whether a class is known to occur."""
        return self.present is not None and label in self.present

    def ranked(self) -> list[str]:
        """Return the classes, the highest clip score first."""
        return [self.labels[k] for k in np.argsort(-self.clipwise, kind="stable")]


class Subjects:
    """The recordings of a data dir as a network sees them.

    Parameters
    ----------
    checkpoint
        Of the network.
    data
        The data dir; where it is a rendered set, its stems are read, too.
    rules
        Post-processing that makes events of the scores; None: no events.
    device, precision, window_s, hop_s, network
        As prediction takes them.

    Raises
    ------
    SedkitError
        The data dir's classes are not the network's.
    """

    def __init__(
        self,
        checkpoint: Path,
        data: DataDir,
        rules: Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        window_s: float | str | None = None,
        hop_s: float | None = None,
        network: str | None = None,
    ) -> None:
        # Charts of sets need no network: torch is loaded for recordings alone.
        from sedkit.inference.masks import MaskPredictor
        from sedkit.inference.predictor import Predictor

        self._predictor = Predictor.open(checkpoint, device, precision, network, full_output=True)
        self._window_s, self._hop_s = window_s, hop_s
        labels = self._predictor.labels.labels
        self._rules = None if rules is None else read_postprocessing(str(rules), labels)
        self._data = data
        self._row = {name: i for i, name in enumerate(data.clips.filename)}
        self._truth = data.strong() if data.has_strong else None
        self._tags = data.weak() if data.has_weak else None
        known = self._tags or self._truth
        if known is not None and not set(known.labels) & set(labels):
            raise SedkitError(
                f"{data.path}: its classes ({listed(known.labels, 3)}) are none of the network's "
                f"({listed(labels, 3)}); "
                "expected a data dir that shares some with it"
            )
        stems = Places(data.path).stems.is_dir()
        self._mixtures = Mixtures.open(data.path, self._predictor.frontend.sample_rate) if stems else None
        self._masks: MaskPredictor | None = None
        self._lacks = {}
        if known is None:
            self._lacks["present"] = f"{data.path} has no weak.tsv and no strong.tsv"
        if self._truth is None:
            self._lacks["truth"] = f"{data.path} has no strong.tsv"
        if self._rules is None:
            self._lacks["decoded"] = "the experiment has no postprocessing.yaml"
        if self._mixtures is None:
            self._lacks["stems"] = (
                f"{data.path} has no stems beside it, as `sedkit mix render --stems true` writes them"
            )
        try:
            self._masks = MaskPredictor(self._predictor, window_s, hop_s)
        except UsageError as error:
            # A network without masks has the figures that need none.
            self._lacks |= dict.fromkeys(("masks", "reconstruction", "attention"), str(error))

    def of(self, filename: str) -> Subject:
        """Read a recording and what is known of it, and ask the network."""
        from sedkit.inference.predict import predict_waveforms

        predictor, row = self._predictor, self._row[filename]
        labels = predictor.labels.labels
        waveform = read_audio(self._data.audio_path(row), predictor.frontend.sample_rate)
        scores = predict_waveforms(predictor, [(filename, waveform)], self._window_s, self._hop_s)
        truth = None if self._truth is None else spans_of(self._truth, filename, labels)
        present = None if truth is None else frozenset(span.label for span in truth)
        if self._tags is not None:
            tagged = self._tags.present[row]
            present = frozenset(x for x, there in zip(self._tags.labels, tagged, strict=True) if there) & {*labels}
        output, lacks = self._output(waveform)
        return Subject(
            filename,
            predictor.frontend,
            waveform,
            scores,
            present,
            truth,
            None if self._rules is None else spans_of(decode(scores, self._rules), filename, labels),
            self._stems(filename, len(waveform)),
            None if self._masks is None else self._masks.of(waveform).masks,
            output,
            self._lacks | lacks,
        )

    def _stems(self, filename: str, samples: int) -> dict[str, Floats] | None:
        if self._mixtures is None:
            return None
        stems = self._mixtures.stems(filename)
        if len(stems[SCENE]) != samples:
            raise SedkitError(
                f"{self._mixtures.stem_paths(filename)[SCENE]}: {len(stems[SCENE])} samples, expected the {samples} of "
                "the mixture; render the mixtures again with `sedkit mix render`"
            )
        return stems

    def _output(self, waveform: Floats) -> tuple[NetworkOutput | None, dict[str, str]]:
        """Return everything the network says, and what it does not."""
        if self._masks is None:
            return None, {}
        try:
            output = self._masks.output(waveform)
        except UsageError as error:
            # Longer than a window: reconstruction and attention are of one.
            return None, dict.fromkeys(("reconstruction", "attention"), str(error))
        lacks = {}
        if output.reconstruction is None:
            lacks["reconstruction"] = "the network has no decoder"
        if not output.attention.keys() >= {"frequency", "time"}:
            lacks["attention"] = "the network does not attend in two steps, to frequencies and to frames"
        return output, lacks


def spans_of(events: Events, filename: str, labels: Sequence[str]) -> tuple[Span, ...]:
    """Return the events of a recording that are of these classes."""
    rows = events.keep_clips([filename]).rows()
    return tuple(Span(label, onset_s, offset_s) for _, onset_s, offset_s, label in rows if label in labels)


def chosen_clips(data: DataDir, wanted: int | Sequence[str], folds: Sequence[str] | None = None) -> list[str]:
    """Return filenames of a data dir.

    Parameters
    ----------
    wanted
        Names, with or without their audio ending; or how many, evenly spread.
    folds
        Only of these.

    Raises
    ------
    UsageError
        A name that is not there, or not in these folds.
    """
    names = [data.clips.filename[i] for i in data.select(folds)]
    if isinstance(wanted, int):
        return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(wanted, len(names))).astype(np.int64))]
    out = list(dict.fromkeys(renamed(wanted, names, "--clips")))
    for name in out:
        if name not in names:
            where = str(data.path) if folds is None else f"fold {listed(folds)} of {data.path}"
            raise UsageError(f"--clips {name}: no such clip{suggest(name, names)}, expected some of {where}")
    return out
