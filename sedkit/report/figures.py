"""Figures of recordings and of sets: each is a function of its subject, with what it cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sedkit.core.errors import SedkitError
from sedkit.core.files import atomic_path
from sedkit.dataio.names import stem
from sedkit.report.attention import attention
from sedkit.report.classes import cooccurrence, durations
from sedkit.report.frames import frames
from sedkit.report.masks import masks, reconstruction
from sedkit.report.sets import SetSubject
from sedkit.report.subject import Subject
from sedkit.report.waveform import waveform

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """How a figure is drawn.

    Attributes
    ----------
    draw
        Makes the figure.
    needs
        Keys of the subject's `lacks`: without any of these there is no figure.
    shows
        Others that it shows where they are there, with their names for people.
    """

    draw: Callable[[Any], Figure]
    needs: tuple[str, ...] = ()
    shows: Mapping[str, str] = MappingProxyType({})


#: Of recordings, and of sets; by name, which the file has, too.
FIGURES: dict[type[Subject | SetSubject], dict[str, Drawing]] = {
    Subject: {
        "waveform": Drawing(waveform, shows={"truth": "events", "stems": "ideal mask"}),
        "masks": Drawing(masks, ("masks",), {"present": "marks of present classes"}),
        "frames": Drawing(frames, shows={"truth": "true events", "decoded": "decoded events"}),
        "reconstruction": Drawing(reconstruction, ("reconstruction",)),
        "attention": Drawing(attention, ("attention",), {"present": "marks of present classes"}),
    },
    SetSubject: {
        "cooccurrence": Drawing(cooccurrence, ("truth", "scores"), {"events": "overlap of events"}),
        "durations": Drawing(durations, ("truth", "events")),
    },
}


def file_stems(filenames: Iterable[str]) -> dict[str, str]:
    """Return what the names of the figures of each recording or set begin with.

    Raises
    ------
    SedkitError
        Two would have the same.
    """
    of_stem: dict[str, str] = {}
    for filename in filenames:
        name = stem(filename).replace("/", "_")
        if of_stem.setdefault(name, filename) != filename:
            raise SedkitError(
                f"{of_stem[name]} and {filename} would both be drawn in {name}.<figure>.png; draw them one by one "
                "(--clips) in folders of their own"
            )
    return {filename: name for name, filename in of_stem.items()}


def write_figures(subject: Subject | SetSubject, folder: Path, dpi: int = 150) -> list[Path]:
    """Write every figure that a recording or a set has as `<its name>.<figure>.png`; return the files."""
    name, written = file_stems([subject.name])[subject.name], []
    for kind, drawing in FIGURES[type(subject)].items():
        if subject.lacks.keys() & set(drawing.needs):
            continue
        path = folder / f"{name}.{kind}.png"
        with atomic_path(path) as aside:
            save(drawing.draw(subject), aside, dpi)
        written.append(path)
    return written


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as PNG."""
    engine = figure.get_layout_engine()
    figure.set_dpi(dpi)
    if engine is not None:
        # Saving draws everything twice where a layout is still to be made.
        engine.execute(figure)
        figure.set_layout_engine("none")
    figure.savefig(path, format="png", dpi=dpi)


def left_out(subject: Subject | SetSubject) -> list[str]:
    """Return which figures and which parts of figures a recording or a set does not have, and why."""
    lines = []
    for kind, drawing in FIGURES[type(subject)].items():
        missing = [subject.lacks[key] for key in drawing.needs if key in subject.lacks]
        if missing:
            lines.append(f"no {kind}: {missing[0]}")
            continue
        lines += [
            f"{kind} without {what}: {subject.lacks[key]}"
            for key, what in drawing.shows.items()
            if key in subject.lacks
        ]
    return lines
