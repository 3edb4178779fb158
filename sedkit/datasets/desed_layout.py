"""The sets of a DESED root: each at the place of the official layouts that holds most of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.names import AUDIO_ENDINGS
from sedkit.dataio.rows import columns_of, read_table
from sedkit.dataio.tables import read_filenames
from sedkit.datasets.desed_places import ROOTS, SETS, TREES, VALIDATION_PARTS, KnownSet
from sedkit.datasets.splits import SHARES


@dataclass(frozen=True)
class Source:
    """A set as it lies in a root.

    Attributes
    ----------
    name
        Of the data dir.
    ledger
        Name of the set in `metadata/sources.tsv`.
    side
        ``training`` (gets parts, must not share recordings with the reported sets), ``reported``, or ``entered``
        (an evaluation set without labels: it is predicted, nobody trains on it).
    folders
        Where its audio may lie, the best first.
    tables
        Tables that list its clips, all to be joined; none: every audio file in the folders.
    whole_folder
        Audio that the table does not list counts as clips without events.
    labelled
        A table with labels belongs to it.
    shares
        Of the parts of a training set; None: all of it is trained on.
    looked_for
        Where it lies in any layout, for people; empty where it was found by looking.
    """

    name: str
    ledger: str
    side: str
    folders: tuple[Path, ...]
    tables: tuple[Path, ...] = ()
    whole_folder: bool = False
    labelled: bool = True
    shares: tuple[float, ...] | None = SHARES
    looked_for: str = ""

    @property
    def has_audio(self) -> bool:
        """Whether there is any audio file in its folders."""
        return any(map(holds_audio, self.folders))


def find_root(root: Path) -> Path:
    """The folder that holds `audio/` and `metadata/`: `root` or one of the places below it where people keep them."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder, expected the root of DESED (with audio/ and metadata/)")
    for part in ROOTS:
        if all(any((root / part / tree / kind).is_dir() for tree in TREES) for kind in ("audio", "metadata")):
            return root / part
    there = listed(sorted(p.name for p in root.iterdir())) or "nothing"
    raise SedkitError(f"{root}: expected audio/ and metadata/ of DESED, found {there}")


def find_sources(root: Path, evaluation: str | None = None) -> list[Source]:
    """Every set of the official layouts, and the evaluation sets that a root holds.

    Parameters
    ----------
    root
        Holds `audio/` and `metadata/`, or trees that do.
    evaluation
        A folder of audio or a list of file names that takes the place of the evaluation sets in the root.
    """
    sources = [_source(root, known) for known in SETS]
    return [*sources, *([_evaluation_of(root, evaluation)] if evaluation else _evaluation_sets(root))]


def _source(root: Path, known: KnownSet) -> Source:
    """The place with audio and a table, else with audio, else with a table, else the newest."""
    candidates = [(_folders(root, place.audio), _tables(root, place.tables)) for place in known.places]
    folders, tables = max(candidates, key=lambda c: (any(map(holds_audio, c[0])), bool(c[1])))
    audio = dict.fromkeys(f"audio/{place.audio[0]}" for place in known.places)
    meta = dict.fromkeys(f"metadata/{table}.tsv" for place in known.places for table in place.tables)
    trees = listed(f"{tree}/" for tree in TREES if tree)
    looked_for = f"no table {listed(meta, 6)} (nor below {trees})"
    if not any(map(holds_audio, folders)):
        looked_for = f"no audio in {listed(audio, 6)}, {looked_for}"
    return Source(
        known.name,
        known.ledger,
        known.side,
        folders,
        tables,
        known.whole_folder,
        known.labelled,
        known.shares,
        looked_for,
    )


def _folders(root: Path, names: Iterable[str]) -> tuple[Path, ...]:
    return _with_16k([root / tree / "audio" / name for name in names for tree in TREES])


def _with_16k(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Each folder, then the siblings that the baselines of 2021-2024 resample it into."""
    return (*folders, *(folder.with_name(folder.name + "_16k") for folder in folders))


def _tables(root: Path, names: Iterable[str]) -> tuple[Path, ...]:
    found = (table_at(root, name) for name in names)
    return tuple(path for path in found if path)


def table_at(root: Path, name: str) -> Path | None:
    """A table below `metadata/` of any tree, as .tsv or as the older .csv."""
    for tree in TREES:
        for ending in (".tsv", ".csv"):
            path = root / tree / "metadata" / f"{name}{ending}"
            if path.is_file():
                return path
    return None


def ledger_of(root: Path) -> Path:
    """Where a table may tell which recordings went into which clip."""
    return root / "metadata" / "sources.tsv"


def holds_audio(folder: Path) -> bool:
    """Tell whether any audio file lies in a folder (not below it)."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(e.name.lower().endswith(AUDIO_ENDINGS) and not e.name.startswith(".") for e in entries)


# ---- evaluation sets ------------------------------------------------------------------------------------------------


def _evaluation_sets(root: Path) -> list[Source]:
    """Tables in `metadata/eval/` besides the public set's, and folders of audio for which there is no list.

    A labelled set goes by the name of its table. Of sets without labels one is `evaluation`: the only one with audio,
    or the one that is called `eval`.
    """
    found = list(_evaluation_tables(root))
    used = {folder for source in found for folder in source.folders}
    names = {name.removesuffix("_16k"): None for name in _names_like(root, "eval[0-9][0-9]*")}
    for name in ("eval/eval", "eval", *names):
        source = Source(Path(name).name, "eval", "entered", _folders(root, (name,)), labelled=False)
        if source.has_audio and not used & set(source.folders):
            found.append(source)
    entered = [s for s in found if s.side == "entered"]
    candidates = [s.name for s in entered if s.has_audio] or [s.name for s in entered]
    chosen = candidates[0] if len(candidates) == 1 else "eval"
    if not entered:
        looked_for = "no list of clips in metadata/eval/, no audio in audio/eval/, audio/eval/eval/ or audio/eval2*/"
        found.append(Source("evaluation", "eval", "entered", (), labelled=False, looked_for=looked_for))
        return found
    return [
        s if s.side != "entered" else replace(s, name="evaluation" if s.name == chosen else f"evaluation_{s.name}")
        for s in found
    ]


def _names_like(root: Path, pattern: str) -> Iterator[str]:
    for tree in TREES:
        yield from sorted(path.name for path in (root / tree / "audio").glob(pattern) if path.is_dir())


def _below(path: Path, part: str) -> Path:
    """A table's path below the last folder of a name, without its ending."""
    at = len(path.parts) - path.parts[::-1].index(part)
    return Path(*path.parts[at:]).with_suffix("")


def _evaluation_tables(root: Path) -> Iterator[Source]:
    """The set of each table; tables of another purpose are passed over."""
    names = set()
    for path in _all_tables(root):
        if "eval" not in path.relative_to(root).parts[:-1] or _below(path, "eval") == Path("public"):
            continue
        labelled = _labels_clips(path)
        name = "_".join(part for part in _below(path, "eval").parts if part != "soundscapes") or "soundscapes"
        if labelled is None or name in names:
            continue
        folders = _folders(root, (f"eval/{_below(path, 'eval')}", f"eval/{name}", name))
        if not any(map(holds_audio, folders)):
            folders += _folders(root, ("eval/eval", "eval"))
        source = Source(name, "eval", "reported" if labelled else "entered", folders, (path,), labelled=labelled)
        # A table that cannot be read is an error where there is audio for it, else nobody's business.
        fits = _fits(path, labelled)
        if fits or (fits is None and source.has_audio):
            names.add(name)
            yield source


def _all_tables(root: Path) -> list[Path]:
    """Tables of every tree; of one name the .tsv comes first."""
    found = [
        path
        for tree in TREES
        for path in (root / tree / "metadata").rglob("*.[ct]sv")
        if path.is_file() and not path.name.startswith(".")
    ]
    return sorted(dict.fromkeys(found), key=lambda path: (path.with_suffix(""), path.suffix != ".tsv"))


def _labels_clips(path: Path) -> bool | None:
    """Whether a table labels clips (True) or lists them (False), by its columns; None: it serves another purpose."""
    try:
        columns = columns_of(path)
    except SedkitError:
        return None
    if {"filename", "onset", "offset", "event_label"} <= set(columns) or {"filename", "event_labels"} <= set(columns):
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
    labels = {
        label.strip()
        for cell in (*cells.get("event_label", ()), *cells.get("event_labels", ()))
        for label in cell.split(",")
    }
    return labels <= {""} or not labels.isdisjoint(DESED_CLASSES.labels)


def _evaluation_of(root: Path, where: str) -> Source:
    path = Path(where)
    if path.is_dir():
        return Source("evaluation", "eval", "entered", (path,), labelled=False)
    if not path.is_file():
        raise UsageError(f"--evaluation {path}: no such folder of audio or list of file names")
    has_labels = "event_label" in columns_of(path)
    places = [path.parent, path.parent / path.stem, *_folders(root, (f"eval/{path.stem}", "eval/eval", "eval"))]
    side = "reported" if has_labels else "entered"
    return Source("evaluation", "eval", side, _with_16k(places), (path,), labelled=has_labels)


# ---- what belongs to no set -----------------------------------------------------------------------------------------


def not_read(root: Path, sources: Sequence[Source]) -> tuple[list[str], list[str]]:
    """Folders of audio and tables, relative to the root, that belong to none of the sets as they are read."""
    used = {path for source in sources for path in (*source.folders, *source.tables)}
    used |= {table for names in VALIDATION_PARTS.values() for table in _tables(root, names)}
    used.add(ledger_of(root))
    folders = [
        folder
        for tree in TREES
        for pattern in ("*", "*/*", "*/*/soundscapes*")
        for folder in sorted((root / tree / "audio").glob(pattern))
        if folder not in used and holds_audio(folder)
    ]
    tables = [path for path in _all_tables(root) if path not in used]
    return [str(path.relative_to(root)) for path in folders], [str(path.relative_to(root)) for path in tables]
