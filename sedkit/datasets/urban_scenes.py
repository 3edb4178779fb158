"""TUT Urban Acoustic Scenes 2018 and TAU Urban Acoustic Scenes 2019 (DCASE task 1, development): `meta.csv`, `audio/`.

The scene is the label. The place where a clip was recorded (`identifier`, such as ``lisbon-1000``) is the group, so no
place is in two folds. The tables tell the scenes, which are ten.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from sedkit.core.vocabulary import Vocabulary
from sedkit.datasets.base import DataSet, Place, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

_COLUMNS = {"event_labels": "scene_label", "group": "identifier"}


@register("tut2018")
class TutUrban2018(DataSet):
    """TUT Urban Acoustic Scenes 2018, development set: 8640 clips of 10 s from six cities."""

    title, holds, clip_s = "TUT Urban Acoustic Scenes 2018", ("meta.csv",), 10.0
    sets = (SetLayout("scenes", "training", (Place(("audio",), ("meta.csv",)),), _COLUMNS, folds=4),)
    roots = ("", "TUT-urban-acoustic-scenes-2018-development", "TAU-urban-acoustic-scenes-2019-development")

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read the table; it names files by their path, clips go by the file's name."""
        super().read(root, s, lenient, labels)
        names = {path: PurePosixPath(path).name for path in s.filenames}
        s.filenames = tuple(names.values())
        s.group = {names[path]: place for path, place in s.group.items() if path in names}
        if s.weak is not None:
            s.weak, s.classes = replace(s.weak, filenames=s.filenames), Vocabulary(s.weak.labels)


@register("tau2019")
class TauUrban2019(TutUrban2018):
    """TAU Urban Acoustic Scenes 2019, development set: 14400 clips of 10 s from ten cities."""

    title = "TAU Urban Acoustic Scenes 2019"
