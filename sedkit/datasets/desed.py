"""DESED (DCASE task 4, 2019 on): its sets (`desed_places`), and the evaluation sets that a root holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.options import option
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.rows import columns_of, read_table
from sedkit.dataio.tables import read_filenames
from sedkit.datasets.audiofiles import holds_audio
from sedkit.datasets.base import DataSet, SetLayout, SetOnDisk
from sedkit.datasets.desed_places import ROOTS, SETS, TREES, VALIDATION_PARTS
from sedkit.datasets.registry import register

_EVAL = ("audio/eval/eval", "audio/eval")
_STRONG_COLUMNS = {"filename", "onset", "offset", "event_label"}
_WEAK_COLUMNS = {"filename", "event_labels"}


@dataclass(frozen=True)
class DesedOptions:
    """`evaluation`: folder of audio or list of file names that takes the place of the root's evaluation sets."""

    evaluation: str | None = option(
        None, "--evaluation", "clips to enter the challenge with", place=True, metavar="FOLDER|LIST"
    )


@register("desed", DesedOptions)
class Desed(DataSet):
    """DESED in any official layout from 2018 to 2024."""

    title, holds, sets, classes = "DESED", ("audio/", "metadata/"), SETS, DESED_CLASSES
    roots, trees, resampled, clip_s, shared = ROOTS, TREES, "_16k", 10.0, "desed_shared_videos.tsv"

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return the sets of the layouts, and the evaluation sets."""
        given = self.options.evaluation
        return [*super().sources(root), *([self._asked(root, given)] if given else self._evaluation_sets(root))]

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read a set; the fold of a validation clip is the 2018 set that it comes from, where its table is there."""
        super().read(root, s, lenient, labels)
        if labels and s.name == "validation":
            tables = [(fold, table) for fold, names in VALIDATION_PARTS.items() for table in self.tables(root, names)]
            s.fold = {name: fold for fold, table in tables for name in read_filenames(table)}

    # ---- evaluation sets

    def _asked(self, root: Path, where: str) -> SetOnDisk:
        path, asked = Path(where), f"--evaluation {where}"
        if path.is_dir():
            return SetOnDisk(_evaluation("evaluation"), (path,), asked=asked)
        if not path.is_file():
            raise UsageError(f"{asked}: no such folder of audio or list of file names")
        places = [path.parent, path.parent / path.stem]
        folders = self.with_resampled(places) + self.folders(root, (f"audio/eval/{path.stem}", *_EVAL))
        labelled = "event_label" in columns_of(path)
        return SetOnDisk(replace(_evaluation("evaluation"), labelled=labelled), folders, (path,), asked=asked)

    def _evaluation_sets(self, root: Path) -> list[SetOnDisk]:
        """Tables in `metadata/eval/` besides the public set's, and folders of audio for which there is no list.

        A labelled set goes by the name of its table. Of sets without labels one is `evaluation`: the only one with
        audio, or the one that is called `eval`.
        """
        sources = list(self._evaluation_tables(root))
        used = {folder for source in sources for folder in source.folders}
        years = [path.name for tree in TREES for path in sorted((root / tree / "audio").glob("eval[0-9][0-9]*"))]
        for name in ("eval/eval", "eval", *dict.fromkeys(name.removesuffix("_16k") for name in years)):
            source = SetOnDisk(_evaluation(Path(name).name), self.folders(root, (f"audio/{name}",)))
            if source.has_audio and not used & set(source.folders):
                sources.append(source)
        entered = [s for s in sources if s.layout.role == "entered"]
        if not entered:
            looked_for = "no list of clips in metadata/eval/, no audio in audio/eval/, audio/eval/eval/, audio/eval2*/"
            return [*sources, SetOnDisk(_evaluation("evaluation"), (), looked_for=looked_for)]
        candidates = [s.name for s in entered if s.has_audio] or [s.name for s in entered]
        chosen = candidates[0] if len(candidates) == 1 else "eval"
        for s in entered:
            s.layout = _evaluation("evaluation" if s.name == chosen else f"evaluation_{s.name}")
        return sources

    def _evaluation_tables(self, root: Path) -> Iterator[SetOnDisk]:
        """The set of each table; tables of another purpose are passed over."""
        names = set()
        for path in self._all_tables(root):
            if "eval" not in path.relative_to(root).parts[:-1] or _below_eval(path) == Path("public"):
                continue
            labelled = _labels_clips(path)
            name = "_".join(folder for folder in _below_eval(path).parts if folder != "soundscapes") or "soundscapes"
            if labelled is None or name in names:
                continue
            folders = self.folders(root, (f"audio/eval/{_below_eval(path)}", f"audio/eval/{name}", f"audio/{name}"))
            if not any(map(holds_audio, folders)):
                folders += self.folders(root, _EVAL)
            layout = SetLayout(name, "reported", ledger="eval") if labelled else _evaluation(name)
            source = SetOnDisk(layout, folders, (path,))
            # A table that cannot be read is an error where there is audio for it, else nobody's business.
            fits = _fits(path, labelled)
            if fits or (fits is None and source.has_audio):
                names.add(name)
                yield source

    def _all_tables(self, root: Path) -> list[Path]:
        """Tables of every tree; of one name the .tsv comes first."""
        tables = {path for tree in TREES for path in (root / tree / "metadata").rglob("[!.]*.[ct]sv") if path.is_file()}
        return sorted(tables, key=lambda path: (path.with_suffix(""), path.suffix != ".tsv"))

    def unread(self, root: Path, sources: Sequence[SetOnDisk]) -> tuple[list[str], list[str]]:
        """Return folders of audio and tables that belong to none of the sets as they are read."""
        used = {path for source in sources for path in (*source.folders, *source.tables)}
        used |= {table for names in VALIDATION_PARTS.values() for table in self.tables(root, names)}
        used.add(root / self.ledger)
        folders = [
            folder
            for tree in TREES
            for pattern in ("*", "*/*", "*/*/soundscapes*")
            for folder in sorted((root / tree / "audio").glob(pattern))
            if folder not in used and holds_audio(folder)
        ]
        tables = [path for path in self._all_tables(root) if path not in used]
        return [str(path.relative_to(root)) for path in folders], [str(path.relative_to(root)) for path in tables]


def _evaluation(name: str) -> SetLayout:
    return SetLayout(name, "entered", labelled=False, ledger="eval")


def _below_eval(path: Path) -> Path:
    """A table's path below the last folder `eval`, without its ending."""
    at = len(path.parts) - path.parts[::-1].index("eval")
    return Path(*path.parts[at:]).with_suffix("")


def _labels_clips(path: Path) -> bool | None:
    """Whether a table labels clips (True) or lists them (False), by its columns; None: it serves another purpose."""
    try:
        columns = columns_of(path)
    except SedkitError:
        return None
    if set(columns) >= _STRONG_COLUMNS or set(columns) >= _WEAK_COLUMNS:
        return True
    return False if columns == ("filename",) else None


def _fits(path: Path, labelled: bool) -> bool | None:
    """Whether a table holds labels of DESED, or none at all; None: it cannot be read."""
    try:
        if not labelled:
            return bool(read_filenames(path))
        cells = read_table(path, ("filename",), ("event_label", "event_labels"))
    except SedkitError:
        return None
    labels = {x.strip() for name in set(cells) - {"filename"} for cell in cells[name] for x in cell.split(",")}
    return labels <= {""} or not labels.isdisjoint(DESED_CLASSES.labels)
