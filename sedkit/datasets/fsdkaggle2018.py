"""FSDKaggle2018 (DCASE 2018 task 2): `train.csv`, `audio_train/` to the clips that were verified by hand and the rest.

Each clip is a recording of its own from Freesound; the table that was published after the challenge names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sedkit.core.options import option
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.names import stem
from sedkit.dataio.rows import Finding, read_rows, refuse
from sedkit.datasets.base import DataSet, Place, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

FOLDS = 4
#: What the table has in `manually_verified`, by set.
MARKS = {"verified": "1", "unverified": "0"}
#: As on Kaggle, and as unpacked from Zenodo.
TABLES = ("train.csv", "FSDKaggle2018.meta/train_post_competition.csv")
_PLACES = (Place(("audio_train", "FSDKaggle2018.audio_train"), TABLES),)
_COLUMNS = {"filename": "fname", "event_labels": "label"}


@dataclass(frozen=True)
class FsdKaggle2018Options:
    """`folds`: how the clips are dealt out."""

    folds: str = option(
        "grouped",
        "--folds",
        "grouped by recording, stratified, with selection parts; or as Kong et al. 2018 dealt them out (grouped)",
        choices=("grouped", "published"),
    )


@register("fsdkaggle2018", FsdKaggle2018Options)
class FsdKaggle2018(DataSet):
    """FSDKaggle2018: 41 classes, one label a clip, four folds."""

    title, holds = "FSDKaggle2018", ("train.csv",)
    sets = tuple(SetLayout(name, "training", _PLACES, _COLUMNS, folds=FOLDS) for name in MARKS)
    classes = Vocabulary.read(metadata_path("classes", "fsdkaggle2018.txt"))

    def find_root(self, root: Path) -> Path:
        """Return the folder of either layout."""
        return root if (root / TABLES[1]).is_file() else super().find_root(root)

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read and check the table, and keep the rows of the set; the published folds count all rows."""
        table = s.tables[0]
        s.tables = (table,)
        super().read(root, s, lenient, labels)
        rows = read_rows(table, ("filename", "manually_verified"), ("freesound_id",), called=s.layout.columns)
        names, marks, bad = rows.cells("filename"), dict[str, str](), []
        for line, name, mark in zip(rows.line.tolist(), names, rows.cells("manually_verified"), strict=True):
            if marks.setdefault(name, mark) != mark or mark not in MARKS.values():
                text = f"manually_verified {mark!r} of {name}, expected 0 or 1, the same in every row of a clip"
                bad.append(Finding("wrong_mark", f"{table}:{line}: {text}", line))
        refuse(bad, table, lenient or not labels)
        s.filenames = tuple(name for name in s.filenames if marks[name] == MARKS[s.name])
        if s.weak is not None:
            s.weak = s.weak.keep_clips(s.filenames)
        recordings = rows.cells("freesound_id") if "freesound_id" in rows.names else [""] * len(names)
        s.group = {name: recording or stem(name) for name, recording in zip(names, recordings, strict=True)}
        if self.options.folds == "published":
            s.fold = published_folds(names)


def published_folds(names: Sequence[str]) -> dict[str, str]:
    """Deal clips out to folds as Kong et al. 2018 (arXiv 1804.04715) do, ``1`` to ``4``.

    The rows are shuffled by a Mersenne Twister with seed 1234; the k-th of them goes to fold k mod 4 + 1.
    """
    order = np.arange(len(names))
    np.random.RandomState(1234).shuffle(order)
    return {names[i]: str(k % FOLDS + 1) for k, i in enumerate(order.tolist())}
