"""What a data set declares, as data: where its sets lie, the role of each, its classes. The room does the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from sedkit.core.errors import SedkitError, listed
from sedkit.core.facts import ROLES
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.rows import Finding, columns_of, read_rows, refuse
from sedkit.dataio.tables import joined, read_filenames, read_strong, read_weak
from sedkit.datasets.audiofiles import Recording, files_of, holds_audio


class Place(NamedTuple):
    """Folders of audio that belong together, the best first, and their tables, all to be joined."""

    audio: tuple[str, ...]
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetLayout:
    """A set of a data set.

    Attributes
    ----------
    name
        Of its data dir.
    role
        ``training`` (divided into `train`, `select` and `tune`, or into `folds`), ``tuning`` (half `select`, half
        `tune`), ``reported`` (figures are made on it), or ``entered`` (it is predicted for a challenge).
    places
        Where it lies in one layout or another, below the root, the newest first. A table's ending may be left out.
    columns
        What its tables call the columns `filename`, `onset`, `offset`, `event_label`, `event_labels`, where they have
        other names. Only a `fold` or `group` that is named here is read.
    labelled
        A table with labels belongs to it. Without labels all of a training set is `train`.
    whole_folder
        Audio that no table lists counts as clips without events.
    ledger
        Name of the set in the ledger of source recordings; empty: its own.
    folds
        Into how many folds a training set is divided, to be held out in turn; each gives up a selection part.
    excerpts_s
        Seconds of the excerpts in which its recordings are scored, and from one to the next; None: they are clips.
    """

    name: str
    role: str
    places: tuple[Place, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    labelled: bool = True
    whole_folder: bool = False
    ledger: str = ""
    folds: int = 0
    excerpts_s: tuple[float, float] | None = None

    @property
    def learned(self) -> bool:
        """Whether systems may learn from it; none of its recordings may then be in a set that they may not."""
        return self.role in ROLES[:2]


@dataclass
class SetOnDisk:
    """A set as it lies in a root: found by `DataSet.sources`, filled by `DataSet.read` and then by the room.

    Attributes
    ----------
    layout
        What is declared of it.
    folders, tables
        Where its audio may lie, the best first; what lists its clips (nothing: every audio file in the folders).
    looked_for, asked
        Where it lies in any layout, for people; the option that asked for it, after which it has to be there.
    filenames, weak, strong, classes
        Every clip, on disk or not; labels; the class order where the tables decide it.
    fold
        Parts that the data set itself has, by clip; a clip without one is on that of the set's name. None: the set is
        divided by its role.
    group
        Recording, place or speaker, by clip. What is learned from must not share one with what is reported.
    release
        Name of the official ground truth that its table is (`dataio.references`), None for any other.
    paths, recordings
        Clips that are there; those of them that are readable.
    """

    layout: SetLayout
    folders: tuple[Path, ...]
    tables: tuple[Path, ...] = ()
    looked_for: str = ""
    asked: str = ""
    filenames: tuple[str, ...] = ()
    weak: Tags | None = None
    strong: Events | None = None
    classes: Vocabulary | None = None
    fold: dict[str, str] | None = None
    group: dict[str, str] = field(default_factory=dict)
    release: str | None = None
    paths: dict[str, Path] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the set."""
        return self.layout.name

    @property
    def has_audio(self) -> bool:
        """Whether there is any audio file in its folders."""
        return any(map(holds_audio, self.folders))

    def tags(self, names: Sequence[str]) -> Tags | None:
        """Return the tags of some clips; a set with events has tags too, for systems train on either."""
        if self.weak is not None:
            return self.weak.keep_clips(names)
        return tags_of(self.strong.keep_clips(names)) if self.strong is not None else None


class DataSet:
    """A data set. A subclass declares it; what is irregular about one overrides a method.

    Attributes
    ----------
    title
        For messages.
    holds
        What its root holds (a folder ends in ``/``).
    sets
        Its sets. Those that are learned from are divided in this order.
    classes
        Class order; None where `read` tells it.
    roots
        Where people keep the root, below the folder that they name.
    trees
        Folders in the root, any of which may hold what `holds` and `sets` name.
    resampled
        Ending of the folders into which its tools resample, such as ``_16k``: they stand in for what lacks.
    ledger
        Table `set filename recordings` of the recordings that went into clips.
    clip_s
        Length of a clip; how many are shorter or longer is told.
    step_s
        Seconds that its labels are multiples of: a last event may end so much after its clip.
    shared
        Table `set filename` in `metadata/`: clips left out of training while a reported one shares their video.
    published
        What can be fetched, as an entry of `metadata/datasets.yaml` has it; None: such an entry, or nothing.
    """

    title: ClassVar[str]
    holds: ClassVar[tuple[str, ...]]
    sets: ClassVar[tuple[SetLayout, ...]]
    classes: ClassVar[Vocabulary | None] = None
    roots: ClassVar[tuple[str, ...]] = ("",)
    trees: ClassVar[tuple[str, ...]] = ("",)
    resampled: ClassVar[str] = ""
    ledger: ClassVar[str] = "metadata/sources.tsv"
    clip_s: ClassVar[float | None] = None
    step_s: ClassVar[float] = 0.0
    shared: ClassVar[str | None] = None
    published: ClassVar[Mapping[str, Any] | None] = None

    def __init__(self, name: str, options: Any) -> None:
        self.name, self.options = name, options

    # ---- where things lie

    def find_root(self, root: Path) -> Path:
        """Return the folder that holds the data set: `root` or one of the places below it where people keep it."""
        for place in self.roots:
            if all(any((root / place / tree / name).exists() for tree in self.trees) for name in self.holds):
                return root / place
        names = listed(sorted(p.name for p in root.iterdir())) or "nothing"
        raise SedkitError(f"{root}: expected {' and '.join(self.holds)} of {self.title}, found {names}")

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return every set in a root that `find_root` found, none of it read.

        A set lies at the place with audio and a table, else with audio, else with a table, else at the newest.
        """
        return [self._source(root, layout) for layout in self.sets]

    def _source(self, root: Path, layout: SetLayout) -> SetOnDisk:
        places = [SetOnDisk(layout, self.folders(root, p.audio), self.tables(root, p.tables)) for p in layout.places]
        out = max(places, key=lambda place: (place.has_audio, bool(place.tables)))
        trees = [f"{tree}/" for tree in self.trees if tree]
        names = dict.fromkeys(x if Path(x).suffix else f"{x}.tsv" for p in layout.places for x in p.tables)
        out.looked_for = f"no table {listed(names, 6)}" + (f" (nor below {listed(trees)})" if trees else "")
        if not out.has_audio:
            audio = dict.fromkeys(p.audio[0] for p in layout.places)
            out.looked_for = f"no audio in {listed(audio, 6)}, {out.looked_for}"
        return out

    def folders(self, root: Path, names: Iterable[str]) -> tuple[Path, ...]:
        """Return where audio may lie: each folder in each tree, then those that it is resampled into."""
        return self.with_resampled([root / tree / name for name in names for tree in self.trees])

    def with_resampled(self, folders: Sequence[Path]) -> tuple[Path, ...]:
        """Return folders, then those that they are resampled into."""
        ending = self.resampled
        return (*folders, *(folder.with_name(folder.name + ending) for folder in folders if ending))

    def tables(self, root: Path, names: Iterable[str]) -> tuple[Path, ...]:
        """Return those of some tables that are there, in any tree, as .tsv or .csv where no ending is given."""
        places = [[root / tree / (name + x) for tree in self.trees for x in ("", ".tsv", ".csv")] for name in names]
        return tuple(path for paths in places for path in [p for p in paths if p.is_file()][:1])

    def unread(self, root: Path, sets: Sequence[SetOnDisk]) -> tuple[list[str], list[str]]:
        """Return folders of audio and tables, relative to the root, that belong to none of the sets."""
        return [], []

    def files(self, s: SetOnDisk) -> dict[str, Path]:
        """Return the audio of a set that is there, by the names of the clips."""
        return files_of(s.folders)

    # ---- what it says

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Fill in what the tables of a set say; without `labels` only which clips they list.

        Raises
        ------
        SedkitError
            A row that cannot be right, unless `lenient`: then it is left out and counted.
        """
        called, facts = s.layout.columns, {"fold", "group"} & set(s.layout.columns)
        classes = self.classes.labels if self.classes else None
        s.fold = {} if "fold" in facts else None
        names: dict[str, None] = {}
        for table in s.tables:
            header = set(columns_of(table, called))
            listing = not s.layout.labelled or header <= {"filename", *facts}
            clips: Sequence[str]
            if not labels or (listing and not header & {"event_label", "event_labels"}):
                clips = read_filenames(table, called)
            elif "event_labels" in header:
                s.weak = read_weak(table, classes, lenient, called)
                clips = s.weak.filenames
            elif "event_label" in header:
                events = read_strong(table, classes, lenient, called, soft=True)
                s.strong = events if s.strong is None else joined((s.strong, events), events.labels, str(table))
                clips = events.filenames
            else:
                raise SedkitError(
                    f"{table}:1: columns {listed(sorted(header))}; expected filename alone, filename and event_labels, "
                    "or filename, onset, offset, event_label"
                )
            names.update(dict.fromkeys(clips))
            for column, cells in (("fold", s.fold), ("group", s.group)):
                if labels and column in facts and cells is not None:
                    _read_facts(table, column, called, cells, lenient)
        s.filenames = tuple(names)

    def compared(self) -> dict[str, Path]:
        """Return roots of other data sets, by the data set's name, whose reported sets must share no recording."""
        return {}


def _read_facts(table: Path, column: str, called: Mapping[str, str], cells: dict[str, str], lenient: bool) -> None:
    """Read what a table says of each clip in a column; two rows of a clip have to agree."""
    rows, bad = read_rows(table, ("filename", column), called=called), []
    for line, name, value in zip(rows.line.tolist(), rows.cells("filename"), rows.cells(column), strict=True):
        if cells.setdefault(name, value) != value:
            text = f"{called[column]} {value!r} of {name}, which has {cells[name]!r} elsewhere; expected one a clip"
            bad.append(Finding("two_values", f"{table}:{line}: {text}", line))
    refuse(bad, table, lenient)
