"""What front ends that are networks have in common: where their weights come from, and how recordings are laid out."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.stamp import describe
from sedkit.core.timegrid import TimeGrid
from sedkit.features.frontends import FrontEnd

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Floats = NDArray[np.floating]
#: As `weights`: a network that nobody trained.
RANDOM = "random"
#: Names a folder in which files of weights are looked for that are not where they were.
WEIGHTS_FOLDER = "SEDKIT_WEIGHTS"


@dataclass(frozen=True, kw_only=True)
class NetworkFrontEnd(FrontEnd):
    """A pretrained network; what it makes of a recording does not depend on its neighbours in a batch.

    A network sees `segment_s` at once. A longer recording is laid out in segments side by side, each of which begins
    where the steps of the one before end; the last one is as long as what is left.

    Parameters
    ----------
    weights : the file, or "random" for a network of `seed` that nobody trained.
    sha256 : of the file; filled in where it is not given, compared when the file is read where it is. It stands for the
        file in the hash of the features.
    seed : of random weights.
    clip_s : seconds that a shorter recording is padded with zeros to; null pads nothing.
    segment_s : seconds that the network sees at once.
    stored : numbers in a features file: "float32", or "float16" with 11 bits each.
    precision : "fp32", or "bf16" for matrix products.
    device : "auto", "cpu" or "cuda".
    batch : segments at a time.
    """

    places = frozenset({"weights", "device", "batch"})
    alone = True
    #: Section `normalise` between spectrum and network.
    normalise: ClassVar[dict[str, dict[str, Any]]] = {}

    weights: str
    sha256: str | None = None
    seed: int = 0
    clip_s: float | None = 10.0
    segment_s: float = 10.0
    stored: Literal["float32", "float16"] = "float32"
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch: int = 16

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"batch is {self.batch}, expected at least 1")
        if self.clip_s is not None and self.clip_s <= 0:
            raise UsageError(f"clip_s is {self.clip_s:g}, expected above 0 (or null for whole recordings)")
        if self._segment_steps < 1:
            raise UsageError(f"segment_s is {self.segment_s:g}, in which {self.name} has no step; expected more")
        if self.most_steps is not None and self._segment_steps > self.most_steps:
            raise UsageError(
                f"segment_s is {self.segment_s:g}, {self._segment_steps} steps; expected at most the {self.most_steps} "
                f"({self.most_steps * self._step_samples / self.sample_rate:g} s) that the network knows"
            )
        if self.weights == RANDOM:
            if self.sha256 is not None:
                raise UsageError("sha256 is given of weights: random, expected those of a file")
        elif self.sha256 is None:
            if not os.path.isfile(self.weights):
                raise UsageError(f"weights: {self.weights}: no such file, expected the weights of {self.name}")
            ((_, digest),) = describe(self.weights).values()
            object.__setattr__(self, "sha256", digest)

    @property
    @abstractmethod
    def spectrum(self) -> FrontEnd:
        """The front end that the network reads, of recordings as they are (`clip_s: null`)."""

    @property
    @abstractmethod
    def step_spectrum_frames(self) -> int:
        """Frames of the spectrum in one step of the network."""

    @property
    def overlap_spectrum_frames(self) -> int:
        """Frames that a step sees beyond its own; it needs them all."""
        return 0

    @property
    def most_steps(self) -> int | None:
        """Steps that the network knows at once; None: any number."""
        return None

    @abstractmethod
    def build(self) -> nn.Module:
        """Make the network with random weights."""

    @abstractmethod
    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return the features (segments, rows, bins) of a normalised spectrum (segments, frames, bins)."""

    @property
    def grid(self) -> TimeGrid:
        return TimeGrid(self.sample_rate, self._step_samples // self.step_rows)

    @property
    def scale(self) -> str:
        return "embedding"

    @property
    def padding(self) -> float:
        return 0.0

    @property
    def highest_hz(self) -> float:
        return self.spectrum.highest_hz

    @property
    def storage(self) -> str:
        return self.stored

    @property
    def step_frames(self) -> int:
        return self._segment_steps * self.step_rows * max(1, min(self.batch, 8))

    @property
    def clip_frames(self) -> int | None:
        return None if self.clip_s is None else self.frames_for(self.clip_s)

    def frames_for(self, duration_s: float) -> int:
        samples = self._padded_samples(round(duration_s * self.sample_rate))
        return self.step_rows * sum(segment.steps for segment in self._segments(samples))

    def window_samples(self, length: int) -> int:
        return -(-length // self.step_rows) * self._step_samples + self._overhang

    def pad(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        missing = self._padded_samples(len(waveform)) - len(waveform)
        return np.pad(waveform, (0, missing)) if missing else waveform

    def transform(self, waveform: Floats, precision: str = "double") -> NDArray[np.float32]:
        if waveform.ndim != 2:
            raise SedkitError(f"waveform of shape {waveform.shape}, expected (batch, samples)")
        return np.stack(list(self.transform_each(waveform, precision)))

    def transform_windows(self, waveform: Floats) -> NDArray[np.float32]:
        least = self.window_samples(1)
        waveform = np.pad(waveform, ((0, 0), (0, max(0, least - waveform.shape[1]))))
        return np.stack(list(self._transformed(waveform, "double")))

    def transform_each(self, waveforms: Iterable[Floats], precision: str = "double") -> Iterator[NDArray[np.float32]]:
        return self._transformed((self.pad(waveform) for waveform in waveforms), precision)

    def _transformed(self, waveforms: Iterable[Floats], precision: str) -> Iterator[NDArray[np.float32]]:
        """Yield the features of recordings, `batch` segments at a time, whosever they are."""
        opened = _opened(self)
        for recordings in opened.ahead(self._groups(waveforms, precision)):
            spectra = [spectrum for recording in recordings for spectrum in recording]
            rows = opened.run(spectra)
            for recording in recordings:
                yield np.concatenate(rows[: len(recording)])
                del rows[: len(recording)]

    def _groups(self, waveforms: Iterable[Floats], precision: str) -> Iterator[list[list[NDArray[np.float32]]]]:
        """Yield recordings, each as the spectra of its segments, of about `batch` segments together."""
        group: list[list[NDArray[np.float32]]] = []
        for waveform in waveforms:
            pieces = [waveform[segment.first : segment.last] for segment in self._segments(len(waveform))]
            group.append([self.spectrum.transform(piece[None], precision)[0] for piece in pieces])
            if sum(map(len, group)) >= self.batch:
                yield group
                group = []
        if group:
            yield group

    @cached_property
    def _step_samples(self) -> int:
        return self.spectrum.grid.hop_samples * self.step_spectrum_frames

    @property
    def _segment_samples(self) -> int:
        return round(self.segment_s * self.sample_rate)

    @cached_property
    def _segment_steps(self) -> int:
        return self._steps(self._segment_samples)

    @property
    def _overhang(self) -> int:
        """Samples that a segment sees beyond its steps."""
        return self._segment_samples - self._segment_steps * self._step_samples

    def _steps(self, samples: int) -> int:
        frames = self.spectrum.frames_for(samples / self.sample_rate) - self.overlap_spectrum_frames
        return max(0, frames) // self.step_spectrum_frames

    def _padded_samples(self, samples: int) -> int:
        """Return the length of a recording, padding included: at least a step."""
        return max(samples, round((self.clip_s or 0.0) * self.sample_rate), self.window_samples(1))

    def _segments(self, samples: int) -> list[_Segment]:
        """Lay segments over a recording."""
        segments: list[_Segment] = []
        while True:
            first = len(segments) * self._segment_steps * self._step_samples
            last = min(first + self._segment_samples, samples)
            steps = self._steps(last - first) if last > first else 0
            if steps:
                segments.append(_Segment(first, last, steps))
            if steps < self._segment_steps:
                return segments

    def complexity(self, duration_s: float) -> tuple[int, int]:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        segments = self._segments(self._padded_samples(round(duration_s * self.sample_rate)))
        # Without numbers: shapes alone tell how many there are.
        with torch.device("meta"):
            network = self.build().eval().requires_grad_(False)
            with torch.inference_mode(), FlopCounterMode(display=False) as counter:
                for segment in segments:
                    frames = segment.steps * self.step_spectrum_frames + self.overlap_spectrum_frames
                    self.embed(network, torch.zeros(1, frames, self.spectrum.n_bins))
        return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2

    def weights_path(self) -> Path:
        """Return where the weights are: at their place, or in the folder that `SEDKIT_WEIGHTS` names."""
        places = [Path(self.weights)]
        if os.environ.get(WEIGHTS_FOLDER):
            places.append(Path(os.environ[WEIGHTS_FOLDER]) / places[0].name)
        for place in places:
            if place.is_file():
                return place
        raise SedkitError(
            f"{self.weights}: no such file, expected the weights of {self.name} of SHA-256 {self.sha256}; put them "
            f"there, or name a folder that holds {places[0].name} in {WEIGHTS_FOLDER}"
        )


class _Segment(NamedTuple):
    """Samples `first` to `last` of a recording, and the steps that the network makes of them."""

    first: int
    last: int
    steps: int


class _Opened:
    """A network with its weights on its device."""

    def __init__(self, frontend: NetworkFrontEnd) -> None:
        import torch

        from sedkit.features.normalise import Normalisation
        from sedkit.models.folding import fold_batch_norms
        from sedkit.models.precision import choose_device
        from sedkit.models.weights import load_pretrained

        self.frontend, self.device = frontend, choose_device(frontend.device)
        with torch.random.fork_rng([]):
            torch.manual_seed(frontend.seed)
            network = frontend.build()
        if frontend.weights != RANDOM:
            path = frontend.weights_path()
            digest = load_pretrained(network, path)
            if digest != frontend.sha256:
                raise SedkitError(f"{path}: has the SHA-256 {digest}, expected {frontend.sha256}, another file's")
        network.eval().requires_grad_(False)
        fold_batch_norms(network)
        self.network = network.to(device=self.device, memory_format=torch.channels_last)
        self.normalise = Normalisation.from_section(frontend.normalise, frontend.spectrum.n_bins).to(self.device)

    def run(self, spectra: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the features (rows, bins) of each spectrum (frames, bins), those of one length in batches."""
        import torch

        out: list[NDArray[np.float32] | None] = [None] * len(spectra)
        context = contextlib.nullcontext() if self.frontend.precision == "fp32" else self._autocast()
        with torch.inference_mode(), context:
            for frames in sorted({len(spectrum) for spectrum in spectra}):
                alike = [i for i, spectrum in enumerate(spectra) if len(spectrum) == frames]
                for first in range(0, len(alike), self.frontend.batch):
                    chosen = alike[first : first + self.frontend.batch]
                    rows = self._embedded(np.stack([spectra[i] for i in chosen]))
                    for i, one in zip(chosen, rows, strict=True):
                        out[i] = one
        return [one for one in out if one is not None]

    def _autocast(self) -> torch.autocast:
        import torch

        return torch.autocast(self.device.type, torch.bfloat16)

    def _embedded(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        x = torch.from_numpy(spectra).to(self.device)
        x = self.normalise(x, torch.full((len(x),), x.shape[1], device=self.device))
        rows: NDArray[np.float32] = self.frontend.embed(self.network, x).float().cpu().numpy()
        return rows

    def ahead(self, groups: Iterator[Any]) -> Iterator[Any]:
        """Yield what `groups` yields; with a GPU, one is read and transformed while the network has another."""
        if self.device.type == "cpu":
            yield from groups
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(next, groups, None)
            while (group := coming.result()) is not None:
                coming = thread.submit(next, groups, None)
                yield group


@lru_cache(maxsize=2)
def _opened(frontend: NetworkFrontEnd) -> _Opened:
    return _Opened(frontend)
