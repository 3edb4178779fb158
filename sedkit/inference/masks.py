"""Masks of recordings: where in time and frequency a network sees each class."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sedkit.core.errors import UsageError
from sedkit.dataio.windows import Windows
from sedkit.features.sources import Floats, Source
from sedkit.inference.predict import source_of
from sedkit.inference.predictor import Predictor
from sedkit.inference.tiling import Accumulated, Tiling
from sedkit.models.output import SedOutput

#: Windows at a time: networks that keep time and frequency take a lot of memory.
BATCH = 4


class MaskedClip(NamedTuple):
    """Scores of a recording, float32.

    Attributes
    ----------
    clipwise
        (classes,) the maximum over its windows.
    masks
        (classes, frames, bins) probabilities, on the frames and bins of the front end.
    """

    clipwise: Floats
    masks: Floats


class NetworkOutput(NamedTuple):
    """Everything a network says of a recording of one window.

    Attributes
    ----------
    features
        (frames, bins) what it was given, normalised.
    clipwise, framewise, masks
        (classes,), (frames / pooling, classes), (classes, frames, bins) probabilities.
    reconstruction
        (frames, bins); None where the network has no decoder.
    attention
        Named weights as the network's page has them, without the batch.
    """

    features: Floats
    clipwise: Floats
    framewise: Floats
    masks: Floats
    reconstruction: Floats | None
    attention: dict[str, Floats]


class MaskPredictor:
    """A trained network that segments time and frequency.

    Parameters
    ----------
    predictor
        The network, opened with `full_output`.
    window_s, hop_s
        As `Tiling.of` takes them.

    Attributes
    ----------
    labels
        Class order.
    frontend
        Whose frames and bins the masks have.
    run
        Where the network comes from and what it saw.

    Raises
    ------
    UsageError
        The network has no masks.
    """

    def __init__(self, predictor: Predictor, window_s: float | str | None = None, hop_s: float | None = None) -> None:
        self.labels, self.frontend, self.run = predictor.labels, predictor.frontend, predictor.run
        self._predictor, self._window_s, self._hop_s = predictor, window_s, hop_s
        frames = predictor.network.input_frames or predictor.network.time_pooling
        silence = np.full((1, frames, self.frontend.n_bins), self.frontend.padding, dtype=np.float32)
        if predictor.embeddings or predictor.output(silence, np.array([frames]))[0].masks is None:
            raise UsageError(
                "the network gives no masks of time and frequency, expected one that does, such as segmentation_gwrp"
            )

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        window_s: float | str | None = None,
        hop_s: float | None = None,
        network: str | None = None,
    ) -> MaskPredictor:
        """Read a checkpoint file, and name it where its network has no masks."""
        try:
            return cls(Predictor.open(path, device, precision, network, full_output=True), window_s, hop_s)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    def of(self, waveform: Floats) -> MaskedClip:
        """Return the masks of a recording.

        Parameters
        ----------
        waveform
            (samples,) full scale 1, at the front end's rate, of any length. What is longer than a window is cut into
            windows as for scores; where they overlap, a mask is the mean, in which their middles count most.

        Returns
        -------
        Masks of the frames that the recording fills (`FrontEnd.valid_frames`).
        """
        source, windows = self._cut(waveform)
        first = windows.first // (self.frontend.grid.hop_samples // self.frontend.window_grid.hop_samples)
        alone = np.zeros(len(windows), dtype=np.int64)
        covered = int(first.max()) + self.frontend.window_frames(windows.length)
        frames = Accumulated(alone, covered, (len(self.labels), self.frontend.n_bins), np.float32)
        clipwise = np.zeros(len(self.labels), dtype=np.float32)
        for place in range(0, len(windows), BATCH):
            at = slice(place, place + BATCH)
            output, _ = self._of_windows(source, windows.take(np.arange(len(windows))[at]))
            np.maximum(clipwise, _array(output.clipwise).max(axis=0), out=clipwise)
            frames.add(alone[at], first[at], _array(output.masks).swapaxes(1, 2))
        masks = frames.means()[0].swapaxes(0, 1)
        np.minimum(masks, 1.0, out=masks)
        n = self.frontend.valid_frames(len(waveform) / self.frontend.sample_rate)
        # Some samples more than a window are not worth another one.
        missing = max(0, n - masks.shape[1])
        if missing:
            masks = np.pad(masks, ((0, 0), (0, missing), (0, 0)), "edge")
        return MaskedClip(clipwise, masks[:, :n])

    def output(self, waveform: Floats) -> NetworkOutput:
        """Return everything the network says of a recording of at most one window, padding included.

        Raises
        ------
        UsageError
            The recording is longer.
        """
        source, windows = self._cut(waveform)
        if len(windows) > 1:
            rate_hz = self.frontend.window_grid.frame_rate_hz
            raise UsageError(
                f"a recording of {len(waveform) / self.frontend.sample_rate:g} s, expected at most one window of the "
                f"network, {windows.length / rate_hz:g} s"
            )
        output, features = self._of_windows(source, windows)
        return NetworkOutput(
            _array(features)[0],
            _array(output.clipwise)[0],
            _array(output.framewise)[0],
            _array(output.masks)[0],
            None if output.reconstruction is None else _array(output.reconstruction)[0],
            {name: _array(weights)[0] for name, weights in (output.attention or {}).items()},
        )

    def _cut(self, waveform: Floats) -> tuple[Source, Windows]:
        source = source_of(self._predictor, waveform)
        tiling = Tiling.of(self._predictor, int(source.n_frames[0]), self._window_s, self._hop_s)
        return source, tiling.windows(source, self.frontend)

    def _of_windows(self, source: Source, windows: Windows) -> tuple[SedOutput, Tensor]:
        features = source.features(windows)
        real = windows.valid if self.frontend.sliceable else np.full(len(windows), features.shape[1], dtype=np.int64)
        return self._predictor.output(features, real)


def _array(values: Tensor | None) -> Floats:
    assert values is not None
    return values.float().cpu().numpy()
