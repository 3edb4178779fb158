"""Figures of a recording. Each is a function of a `Subject`; None where it lacks what the figure shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sedkit.core.files import atomic_path
from sedkit.dataio.names import stem
from sedkit.report.attention import attention
from sedkit.report.frames import frames
from sedkit.report.masks import masks, reconstruction
from sedkit.report.subject import Subject
from sedkit.report.waveform import waveform

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: By name, which the file has, too.
FIGURES: dict[str, Callable[[Subject], Figure | None]] = {
    "waveform": waveform,
    "masks": masks,
    "frames": frames,
    "reconstruction": reconstruction,
    "attention": attention,
}


def write_figures(subject: Subject, folder: Path, dpi: int = 150) -> list[Path]:
    """Write every figure that a recording has as `<recording>.<figure>.png`; return the files."""
    written = []
    for name, draw in FIGURES.items():
        figure = draw(subject)
        if figure is None:
            continue
        path = folder / f"{stem(subject.filename).replace('/', '_')}.{name}.png"
        with atomic_path(path) as aside:
            figure.savefig(aside, format="png", dpi=dpi)
        written.append(path)
    return written
