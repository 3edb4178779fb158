"""A folder of sounds as Scaper takes it: `foreground/LABEL/` holds events, `background/LABEL/` what is behind them.

Nothing is known of a recording but its folder, so each is a group of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Tags
from sedkit.datasets.audiofiles import files_of, holds_audio
from sedkit.datasets.base import DataSet, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

#: Folder of each set.
FOLDERS = {"events": "foreground", "scenes": "background"}


@register("soundbank")
class Soundbank(DataSet):
    """A soundbank: a folder a label; four folds."""

    title, holds = "Scaper's soundbank", ("foreground/",)
    sets = tuple(SetLayout(name, "training", folds=4) for name in FOLDERS)

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return both sets; their folders are those of the labels."""
        sets = []
        for layout in self.sets:
            folder = root / FOLDERS[layout.name]
            sets.append(SetOnDisk(layout, _below(folder), looked_for=f"no audio in {folder}/LABEL/"))
        if not sets[0].has_audio:
            raise SedkitError(f"{root}: {sets[0].looked_for}, expected a folder with audio for each label")
        return sets

    def files(self, s: SetOnDisk) -> dict[str, Path]:
        """Return the files; labels may have files of one name, so clips are called ``LABEL-FILE``."""
        out: dict[str, Path] = {}
        for folder in s.folders:
            for name, path in files_of([folder]).items():
                clip = f"{folder.name}-{name}"
                if out.setdefault(clip, path) != path:
                    raise SedkitError(f"{out[clip]} and {path}: would both be clip {clip!r}; rename one of the files")
        return out

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Take each folder's name for the label of what lies in it."""
        files = self.files(s)
        if empty := [folder.name for folder in s.folders if not holds_audio(folder)]:
            log.warning("%s: no audio, so no label: %s", s.folders[0].parent, listed(empty, 8))
        if not files:
            return
        names = tuple(sorted(files))
        label = [files[name].parent.name for name in names]
        s.classes = Vocabulary(tuple(sorted(set(label))))
        s.weak = Tags(names, s.classes.labels, np.array([[x == y for y in s.classes] for x in label]), str(root))

    def unread(self, root: Path, sets: Sequence[SetOnDisk]) -> tuple[list[str], list[str]]:
        """Return the folders whose audio lies beside the folders of labels."""
        return [f"{folder}/" for folder in FOLDERS.values() if holds_audio(root / folder)], []


def _below(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
