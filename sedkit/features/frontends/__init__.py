"""What a front end is, and the register of them by name.

A front end is a frozen dataclass: its fields are the keys of a configuration's section `frontend` (beside `name`),
their values make its hash, and the hash is in the name and the attributes of every features file. `docs/features.md`
shows how to add one.
"""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import content_hash
from sedkit.core.registry import Registry
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.store import FeatureFile

PRECISIONS = ("double", "single")


class Framing(NamedTuple):
    """The spectrogram that a front end sums up.

    Attributes
    ----------
    window : (n_fft,) weights of a frame's samples.
    first : sample of the recording at which frame 0 begins; below 0 where frames are centred.
    hop_samples : from frame to frame.
    bank : (n_fft // 2 + 1, bins) weights of the transform's bins in each of the features'.
    """

    window: NDArray[np.float64]
    first: int
    hop_samples: int
    bank: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class FrontEnd(ABC):
    """Waveform at `sample_rate` to (frames, bins).

    Subclasses are frozen dataclasses with a field `sample_rate` and what else they need.

    Attributes
    ----------
    grid : TimeGrid, of which frame k of a clip stands for [k, k + 1).
    n_bins : size of a frame.
    scale : one of `sedkit.dataio.store.SCALES`.
    padding : what a frame of silence holds, in every bin; it fills the frames behind the end of a short clip.
    highest_hz : nothing above this frequency reaches the features.
    clip_frames : frames to which shorter recordings are padded; None where none is padded.
    sliceable : the features of a window are a slice of its recording's. Else every window is transformed on its own,
        cut at any sample, and no features file serves.
    storage : type of the numbers in a features file, "float32" or "float16".
    step_frames : frames of a recording that are computed at a time: a multiple of what is seen at once, so that the
        features are those of the whole recording.
    step_rows : frames that belong together, such as the patches of one step of a network: windows of embeddings begin
        with the first of them.
    """

    name: ClassVar[str] = ""
    #: Fields that say where something lies or how it is computed, and not what is computed.
    places: ClassVar[frozenset[str]] = frozenset()
    #: Whether one process uses all cores, or the GPU, by itself.
    alone: ClassVar[bool] = False
    sample_rate: int = 32000

    @property
    @abstractmethod
    def grid(self) -> TimeGrid: ...

    @property
    @abstractmethod
    def n_bins(self) -> int: ...

    @property
    @abstractmethod
    def scale(self) -> str: ...

    @property
    @abstractmethod
    def padding(self) -> float: ...

    @property
    @abstractmethod
    def highest_hz(self) -> float: ...

    @property
    def clip_frames(self) -> int | None:
        return None

    @property
    def storage(self) -> str:
        return "float32"

    @property
    def step_frames(self) -> int:
        return 1024

    @property
    def step_rows(self) -> int:
        return 1

    @property
    def framing(self) -> Framing | None:
        """The spectrogram behind the features; None where there is none, and masks cannot be laid over one."""
        return None

    @property
    def sliceable(self) -> bool:
        return True

    @abstractmethod
    def frames_for(self, duration_s: float) -> int:
        """Frames that `transform` gives for a recording of this length."""

    @abstractmethod
    def transform(self, waveform: NDArray[np.floating], precision: str = "double") -> NDArray[np.float32]:
        """Compute features.

        Parameters
        ----------
        waveform : (batch, samples), full scale = 1.
        precision : of the Fourier transform, "double" or "single" (a third faster; a loud tone's rounding then shows in
            cells 110 dB and more below it).

        Returns
        -------
        (batch, frames, bins) float32
        """

    def transform_each(
        self, waveforms: Iterable[NDArray[np.floating]], precision: str = "double"
    ) -> Iterator[NDArray[np.float32]]:
        """Compute the features of recordings (samples,) of any lengths, in their order: (frames, bins) of each."""
        for waveform in waveforms:
            yield self.transform(waveform[None], precision)[0]

    def complexity(self, duration_s: float) -> tuple[int, int]:
        """Count the trained parameters that a front end has, and the multiply-accumulate operations of a recording."""
        return 0, 0

    def valid_frames(self, duration_s: float) -> int:
        """Of those frames, the ones that the recording itself fills (at least 1)."""
        return max(1, min(self.grid.n_frames(duration_s), self.frames_for(duration_s)))

    @property
    def window_grid(self) -> TimeGrid:
        """The grid on which windows begin and end: the features' frames, or single samples."""
        return self.grid if self.sliceable else TimeGrid(self.sample_rate, 1)

    def window_frames(self, length: int) -> int:
        """Frames of the features of a window, its length given on `window_grid`."""
        return length if self.sliceable else self.frames_for(length / self.sample_rate)

    def window_samples(self, length: int) -> int:
        """Samples, from a window's first frame on in the recording as `pad` leaves it, that its features need."""
        return length * self.window_grid.hop_samples

    @property
    def margins(self) -> tuple[int, int]:
        """Samples that `pad` puts before and behind a recording of at least `clip_frames`."""
        return 0, 0

    def pad(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a recording (samples,) with what its windows may see beyond its ends."""
        return waveform

    def transform_windows(self, waveform: NDArray[np.floating]) -> NDArray[np.float32]:
        """Compute the features of windows, (batch, `window_samples`) to (batch, `window_frames`, bins)."""
        return self.transform(waveform)

    def as_dict(self) -> dict[str, Any]:
        """Name and parameters, as in a configuration's section."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @property
    def identity(self) -> dict[str, Any]:
        """Name and parameters without `places`: what the features depend on."""
        return {key: value for key, value in self.as_dict().items() if key not in self.places}

    @cached_property
    def hash8(self) -> str:
        """Eight hexadecimal digits that differ where name or parameters do."""
        # 50 and 50.0 are one value.
        values = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in self.identity.items()}
        return content_hash(values)[:8]


# Networks are front ends as well. They stand above the floor of models and are known here by the name of their room.
_FRONT_ENDS: Registry[Callable[[Any], FrontEnd]] = Registry(
    "sedkit.features.frontends", "frontend", beside=("sedkit.embeddings",)
)
F = TypeVar("F", bound=type[FrontEnd])


def register(name: str) -> Callable[[F], F]:
    """Class decorator: make a front end known as `frontend.name: <name>`."""

    def add(cls: F) -> F:
        cls.name = name
        _FRONT_ENDS.register(name, cls)(lambda options: options)
        return cls

    return add


def frontend_from(section: dict[str, Any] | None, where: str = "") -> FrontEnd:
    """Make the front end that a configuration's section `frontend`, or a features file's attribute, describes.

    Raises
    ------
    UsageError
        The name or a key is unknown, or a value makes no sense; `where` begins the message.
    """
    frontend: FrontEnd = _FRONT_ENDS.build(section, where=where)
    return frontend


def frontends_from(section: dict[str, Any] | None, where: str = "") -> dict[str, FrontEnd]:
    """Make the front ends of a configuration's section `embeddings`, by name; they must be cut frame by frame.

    Raises
    ------
    UsageError
        As `frontend_from`, or no mapping.
    """
    where = where or "embeddings"
    if section is not None and not isinstance(section, dict):
        raise UsageError(f"{where}: got {section!r}, expected a mapping of names to front ends")
    frontends = {str(name): frontend_from(one, f"{where}.{name}") for name, one in (section or {}).items()}
    for name, frontend in frontends.items():
        if not frontend.sliceable:
            raise UsageError(
                f"{where}.{name}: transforms every window on its own, expected a front end whose windows are slices of "
                "the features of recordings"
            )
    return frontends


def features_path(folder: str | os.PathLike[str], frontend: FrontEnd) -> Path:
    """Return where the features of a data dir lie, `<folder>/<front end>-<hash>.h5`."""
    return Path(folder) / f"{frontend.name}-{frontend.hash8}.h5"


def expect_features(path: Path) -> None:
    """Raise SedkitError where there is no such features file; the message says what is there."""
    if not path.is_file():
        others = [p.name for p in sorted(path.parent.glob("*.h5"))]
        raise SedkitError(
            f"{path}: no such features ({path.parent} has {listed(others) or 'none'}); make them with `sedkit extract`"
        )


def open_features(path: Any, frontend: FrontEnd) -> FeatureFile:
    """Open a features file that must have been made with this front end.

    Raises
    ------
    SedkitError
        It was made with another one: the parameters that differ are named.
    """
    file, expected = FeatureFile(path), frontend.identity
    made = {key: value for key, value in file.frontend.items() if key not in frontend.places}
    if made != expected:
        differ = [
            f"{key} {made.get(key)!r} instead of {expected.get(key)!r}"
            for key in sorted({*expected, *made})
            if made.get(key) != expected.get(key)
        ]
        raise SedkitError(
            f"{path}: made with another front end: {listed(differ, 4)} (run `sedkit extract` with this configuration)"
        )
    return file
