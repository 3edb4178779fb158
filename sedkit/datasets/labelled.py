"""A folder of one's own recordings with their labels beside them, as made by ear in Audacity or Raven.

A recording `NAME.wav`, in any folder below the root, has its events in `NAME.txt` (a label track) or
`NAME.Table.1.selections.txt` (a selection table), or in another format that `sedkit.dataio.event_formats` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.core.options import option
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.event_formats import label_files
from sedkit.dataio.events import Events
from sedkit.dataio.names import AUDIO_ENDINGS, stem
from sedkit.dataio.tables import joined, read_strong
from sedkit.datasets.base import DataSet, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

#: Class order, one a line; without it the classes are those that occur, in alphabetical order.
CLASSES = "labels.txt"


@dataclass(frozen=True)
class LabelledOptions:
    """`role`: what the recordings are for."""

    role: str = option(
        "training",
        "--role",
        "what the recordings are for: training (divided into parts), tuning or reported (training)",
        choices=("training", "tuning", "reported"),
    )


@register("labelled", LabelledOptions)
class Labelled(DataSet):
    """One set: every recording that has labels beside it."""

    title, holds = "labelled recordings", (".",)
    sets = (SetLayout("labelled", "training"),)

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return the set, with the role that was asked for."""
        layout = replace(self.sets[0], role=self.options.role)
        s = SetOnDisk(layout, (root,), looked_for=f"no recording in {root} that has labels beside it")
        s.tables = tuple(label_files(root, {stem(name) for name in self.files(s)}).values())
        return [s]

    def files(self, s: SetOnDisk) -> dict[str, Path]:
        """Return the recordings in the root and below it, called by their paths from there."""
        (root,) = s.folders
        return {
            path.relative_to(root).as_posix(): path
            for path in sorted(root.rglob("*"))
            if path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".") and path.is_file()
        }

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read the labels of each recording; one without any is left out."""
        recordings: dict[str, list[str]] = {}
        for name in self.files(s):
            recordings.setdefault(stem(name), []).append(name)
        tables = label_files(root, recordings)
        if twice := [names for names in recordings.values() if len(names) > 1]:
            raise SedkitError(f"{root}: {listed(twice[0])} would share their labels, expected names that differ")
        s.filenames = tuple(recordings[clip][0] for clip in tables)
        if without := [names[0] for clip, names in recordings.items() if clip not in tables]:
            log.warning(
                "%s: %d recordings have no labels and are left out (%s)", root, len(without), listed(without, 3)
            )
        if not labels:
            return
        order = Vocabulary.read(root / CLASSES).labels if (root / CLASSES).is_file() else None
        read = [
            _named(read_strong(path, order, lenient, clip=clip, soft=True), recordings[clip][0])
            for clip, path in tables.items()
        ]
        s.strong = joined(read, order, str(root))
        s.classes = Vocabulary(s.strong.labels)


def _named(events: Events, name: str) -> Events:
    """Call the one recording that labels are of by its name in the set."""
    if len(events.filenames) != 1 or Path(stem(events.filenames[0])).name != Path(stem(name)).name:
        raise SedkitError(
            f"{events.source}: events of {listed(events.filenames, 3)}, expected those of {name}, beside which it lies"
        )
    return replace(events, filenames=(name,))
