"""A trained system for any recording: its network, its rules, and what they say of files and of arrays."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

import sedkit
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import content_hash
from sedkit.core.log import log
from sedkit.dataio.audio import audio_info, header_fault, read_blocks, resampled_length
from sedkit.dataio.event_formats import Detected
from sedkit.dataio.scores import Scores
from sedkit.features.frontends import FrontEnd
from sedkit.features.passing import Passing
from sedkit.inference.clips import checkpoint_of, rules_of
from sedkit.inference.predict import predict_passing, source_of, with_embeddings
from sedkit.inference.predictor import Floats, Predictor
from sedkit.postprocessing import Postprocessing, decode, read_postprocessing


class Event(NamedTuple):
    """An event: class, begin and end in seconds."""

    label: str
    onset_s: float
    offset_s: float


class Detector:
    """A trained network with the rules by which its scores become events.

    Parameters
    ----------
    predictor
        The network.
    rules
        Post-processing of its classes.
    window_s, hop_s
        As `sedkit.inference.tiling.Tiling.of` takes them.

    Attributes
    ----------
    labels
        Classes, in the order of the scores.
    sample_rate
        Hz, that recordings are resampled to.
    """

    def __init__(
        self,
        predictor: Predictor,
        rules: Postprocessing,
        window_s: float | str | None = None,
        hop_s: float | None = None,
    ) -> None:
        self.predictor, self.rules = predictor, rules
        self.labels: tuple[str, ...] = predictor.labels.labels
        self.sample_rate: int = predictor.frontend.sample_rate
        self._window_s, self._hop_s = window_s, hop_s

    @classmethod
    def open(
        cls,
        experiment: str | PathLike[str],
        postprocessing: str | PathLike[str] | float | None = None,
        checkpoint: str = "best",
        network: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        window_s: float | str | None = None,
        hop_s: float | None = None,
    ) -> Detector:
        """Open an experiment.

        Parameters
        ----------
        experiment
            Its folder, or a checkpoint file. Nothing outside is read.
        postprocessing
            A file of rules, a preset's name or one threshold; None: the experiment's own `postprocessing.yaml`, of a
            checkpoint file the rules in it.
        checkpoint
            `best` or `last` of an experiment.
        network
            Name of the network, where a training keeps several.
        device, precision
            As `Predictor` takes them.
        window_s, hop_s
            Of the windows that longer recordings are cut into, seconds; None: as the network was trained.

        Raises
        ------
        SedkitError
            No such checkpoint, or one that cannot be read.
        UsageError
            No rules are given, and the experiment has none.
        """
        place, chosen = checkpoint_of(Path(experiment), checkpoint, network)
        predictor = Predictor.open(place, device, precision, chosen)
        rules, labels = rules_of(Path(experiment), postprocessing), predictor.labels.labels
        if rules is not None:
            return cls(predictor, read_postprocessing(rules, labels), window_s, hop_s)
        if not predictor.postprocessing:
            raise UsageError(
                f"{place}: a checkpoint without post-processing; give --postprocessing FILE.yaml, a preset (published) "
                "or a threshold (0.5), or write one that holds its rules: sedkit export EXP OUT.pt"
            )
        return cls(
            predictor, Postprocessing.from_dict(predictor.postprocessing, str(place)).over(labels), window_s, hop_s
        )

    def detect(self, audio: str | PathLike[str] | NDArray[Any], sample_rate: int | None = None) -> list[Event]:
        """Return the events of a recording, in the order of their times.

        Parameters
        ----------
        audio
            A file of any length, rate and number of channels that libsndfile reads, or an array (samples,) or
            (samples, channels) of floats (full scale 1) or whole numbers (full scale is that of their type).
        sample_rate
            Of an array, Hz.
        """
        events = decode(self.scores(audio, sample_rate), self.rules).rows()
        rows = [Event(x, round(a, 6), round(b, 6)) for _, a, b, x in events if x and a is not None and b is not None]
        return sorted(rows, key=lambda event: (event.onset_s, event.offset_s))

    def scores(
        self, audio: str | PathLike[str] | NDArray[Any], sample_rate: int | None = None, name: str | None = None
    ) -> Scores:
        """Return frame and clip scores of a recording.

        Parameters
        ----------
        audio, sample_rate
            As `detect` takes them. A file is never held whole.
        name
            What the recording is called in the scores; None: by its file.

        Raises
        ------
        SedkitError
            The file cannot be read, or the array is no sound.
        UsageError
            An array without a rate, or a file with one.
        """
        if isinstance(audio, np.ndarray):
            source = source_of(self.predictor, self._resampled(audio, sample_rate))
            return predict_passing(self.predictor, name or "array", source, self._window_s, self._hop_s)
        if sample_rate is not None:
            raise UsageError(f"{audio}: sample_rate is that of an array; a file tells its own, expected none")
        path = Path(audio)
        info = audio_info(path)
        if fault := header_fault(path):
            log.warning("%s", fault)

        def passing(frontend: FrontEnd) -> Passing:
            rate = frontend.sample_rate
            return Passing(read_blocks(path, rate), resampled_length(info.frames, info.sample_rate, rate), frontend)

        source = with_embeddings(self.predictor, passing)
        return predict_passing(self.predictor, name or path.name, source, self._window_s, self._hop_s)

    def detected(self, scores: Scores) -> Detected:
        """Return the events of scores, times to the microsecond, with what they were made with."""
        events = decode(scores, self.rules)
        np.round(events.onset_s, 6, out=events.onset_s)
        np.round(events.offset_s, 6, out=events.offset_s)
        return Detected(events, scores.duration_s.tolist(), self.predictor.frontend.highest_hz, self.lineage)

    @property
    def lineage(self) -> dict[str, Any]:
        """What events are made with: checkpoint and rules by their hashes, and the version of sedkit."""
        return {
            "sedkit": sedkit.__version__,
            "checkpoint": self.predictor.producer,
            "postprocessing": f"sha256:{content_hash(self.rules.as_dict())}",
        }

    def _resampled(self, audio: NDArray[Any], sample_rate: int | None) -> Floats:
        if sample_rate is None or sample_rate < 1:
            raise UsageError(f"sample_rate is {sample_rate}, expected that of the array in Hz")
        if audio.ndim not in (1, 2) or not audio.size:
            raise SedkitError(f"an array of shape {audio.shape}, expected (samples,) or (samples, channels)")
        if np.issubdtype(audio.dtype, np.integer):
            audio = audio / np.float64(np.iinfo(audio.dtype).max + 1)
        mono = (audio if audio.ndim == 1 else audio.mean(axis=1, dtype=np.float64)).astype(np.float32)
        if not np.isfinite(mono).all():
            raise SedkitError("an array that holds NaN or infinity, expected finite samples")
        return mono if sample_rate == self.sample_rate else soxr.resample(mono, sample_rate, self.sample_rate, "HQ")
