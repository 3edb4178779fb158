"""Figures of recordings and of sets: each is a function of its subject, with what it cannot do without."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sedkit.core.errors import SedkitError
from sedkit.core.files import atomic_path
from sedkit.dataio.names import stem
from sedkit.report.attention import attention
from sedkit.report.classes import cooccurrence, counts, durations
from sedkit.report.curves import curves, detection, overlay
from sedkit.report.frames import frames
from sedkit.report.masks import masks, reconstruction
from sedkit.report.network import network
from sedkit.report.quality import class_f1, cross_triggers, thresholds
from sedkit.report.rates import psd_roc
from sedkit.report.runs import RunSubject
from sedkit.report.sets import SetSubject, SystemsSubject
from sedkit.report.subject import Subject
from sedkit.report.training import learning
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
    caption
        What a page says below it.
    """

    draw: Callable[[Any], Figure]
    needs: tuple[str, ...] = ()
    shows: Mapping[str, str] = MappingProxyType({})
    caption: str = ""


#: Whatever figures are of.
AnySubject = Subject | SetSubject | SystemsSubject | RunSubject

#: Of recordings, of sets, of systems on a set together, and of runs; by name, which the file has, too.
FIGURES: dict[type[AnySubject], dict[str, Drawing]] = {
    Subject: {
        "waveform": Drawing(waveform, shows={"truth": "events", "stems": "ideal mask"}),
        "masks": Drawing(masks, ("masks",), {"present": "marks of present classes", "stems": "the events alone"}),
        "frames": Drawing(frames, shows={"truth": "true events", "decoded": "decoded events"}),
        "curves": Drawing(curves, shows={"truth": "true events"}),
        "overlay": Drawing(overlay, shows={"present": "marks of present classes"}),
        "detection": Drawing(detection, shows={"truth": "true events", "decoded": "decoded events"}),
        "reconstruction": Drawing(reconstruction, ("reconstruction",)),
        "attention": Drawing(attention, ("attention",), {"present": "marks of present classes"}),
    },
    SetSubject: {
        "cross_triggers": Drawing(
            cross_triggers,
            ("truth", "events"),
            caption="What the detections of each class lie in, by the tolerances of PSDS2: framed those that fit true "
            "events of their class, in other columns false ones that trigger across, last false ones in no event.",
        ),
        "durations": Drawing(
            durations,
            ("truth", "events"),
            caption="How long events are: true ones filled, detected ones as an outline; longer ones than a clip are "
            "in the last bin.",
        ),
        "cooccurrence": Drawing(
            cooccurrence,
            ("truth", "scores"),
            {"events": "overlap of events"},
            "How classes go together: correlation over clips of their mean scores, and of their true activity; minutes "
            "for which detected and true events of each two overlap.",
        ),
    },
    SystemsSubject: {
        "class_f1": Drawing(
            class_f1,
            ("truth", "events"),
            caption="F1 of each class, with the number of its true events. A dash: undefined, as the official tools "
            "have it, where there is nothing to divide by.",
        ),
        "psd_roc": Drawing(
            psd_roc,
            ("truth", "points"),
            caption="True positive rate against effective false positives per hour, PSDS1 solid, PSDS2 dashed: the "
            "area under a class's curve stands in its panel, PSDS (mean less spread over classes) in the legend.",
        ),
        "thresholds": Drawing(
            thresholds,
            ("truth", "points"),
            {"events": "the decoded events"},
            "Macro F1 where all classes have one threshold; the level line is that of the events as they were decoded. "
            "The best point of a curve is chosen on the set itself and is no result.",
        ),
        "counts": Drawing(
            counts, ("events",), {"truth": "true events"}, "How many events clips have, and how many each class has."
        ),
    },
    RunSubject: {
        "learning": Drawing(
            learning,
            ("history",),
            caption="Training: what the checkpoint was chosen by, and curves that were only looked at.",
        ),
        "network": Drawing(
            network,
            ("network",),
            caption="The network from top to bottom: what each layer is made of, what it gives for one window "
            "(channels × frames × bands, or frames × values), and its parameters.",
        ),
    },
}
#: For looking at, and for papers: an SVG's texts and lines stay what they are, images in it are images.
_ENDINGS = ("png", "svg")
#: Class and file names are shown as they are, dollar signs too; the same figure gives the same SVG.
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "sedkit", "text.parse_math": False}


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


def write_figures(subject: AnySubject, folder: Path, dpi: int = 150) -> list[Path]:
    """Write every figure that a subject has as `<its name>.<figure>.png` and `.svg`; return the files."""
    name, written = file_stems([subject.name])[subject.name], []
    for kind, drawing in FIGURES[type(subject)].items():
        if subject.lacks.keys() & set(drawing.needs):
            continue
        with _styled():
            figure = drawing.draw(subject)
            for ending in _ENDINGS:
                path = folder / f"{name}.{kind}.{ending}"
                with atomic_path(path) as aside:
                    save(figure, aside, dpi, ending)
                written.append(path)
    return written


def drawn(drawing: Drawing, subject: AnySubject, dpi: int = 150) -> bytes:
    """Return a figure as SVG."""
    file = io.BytesIO()
    with _styled():
        save(drawing.draw(subject), file, dpi, "svg")
    return file.getvalue()


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A letter that the font lacks: the SVG has it as text, for the reader's fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def save(figure: Figure, path: Path | io.BytesIO, dpi: int, ending: str = "png") -> None:
    """Write a figure as PNG or SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    engine = figure.get_layout_engine()
    figure.set_dpi(dpi)
    if engine is not None and engine.adjust_compatible:
        engine.execute(figure)
        figure.set_layout_engine("none")
    # `savefig` would draw everything once more.
    if ending == "svg":
        # A date in the file would make every file another one.
        FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})
    else:
        FigureCanvasAgg(figure).print_png(path)


def left_out(subject: AnySubject) -> list[str]:
    """Return which figures and which parts of figures a subject does not have, and why: a line for each reason."""
    missing: dict[str, list[str]] = {}
    without: dict[tuple[str, str], list[str]] = {}
    for kind, drawing in FIGURES[type(subject)].items():
        why = next((subject.lacks[key] for key in drawing.needs if key in subject.lacks), None)
        if why is not None:
            missing.setdefault(why, []).append(kind)
            continue
        for key, what in drawing.shows.items():
            if key in subject.lacks:
                without.setdefault((what, subject.lacks[key]), []).append(kind)
    return [
        *(f"no {', '.join(kinds)}: {why}" for why, kinds in missing.items()),
        *(f"{', '.join(kinds)} without {what}: {why}" for (what, why), kinds in without.items()),
    ]
