"""MAESTRO Real: long recordings of five scenes with soft labels by the second (DCASE 2023 task 4 B, 2024 task 4).

The development set (Zenodo 7244360) has a folder of recordings and one of label tracks for each scene; a track has a
row a second and class, with the share of the annotators' opinions that heard it. Which recordings are for training, and
the folds of 2023, are those of the organisers' baselines: DCASE-REPO/DESED_task (recipes/dcase2024_task4_baseline,
dprep) and marmoi/dcase2023_task4b_baseline (development_folds), in `metadata/maestro_recordings.tsv`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sedkit.core.options import option
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.names import stem
from sedkit.dataio.rows import read_table
from sedkit.dataio.tables import joined, read_strong
from sedkit.datasets.audiofiles import files_of
from sedkit.datasets.base import DataSet, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

#: In the order in which the baseline of 2024 divides their recordings.
SCENES = ("cafe_restaurant", "city_center", "grocery_store", "metro_station", "residential_area")
AUDIO, TRACKS = "development_audio", "development_annotation"
#: Of 2024: share of a scene's training recordings that are trained on, and the seed of who they are.
TRAIN_SHARE, SEED = 0.9, 42
#: Excerpts in which the validation set is scored: seconds, and seconds from one to the next.
EXCERPTS_S = (10.0, 5.0)


@dataclass(frozen=True)
class MaestroOptions:
    """`split`: whose division of the development set."""

    split: str = option(
        "2024",
        "--split",
        "2024: training and validation; 2023: five folds of the development set, to be held out in turn (2024)",
        choices=("2024", "2023"),
    )


@register("maestro", MaestroOptions)
class Maestro(DataSet):
    """MAESTRO Real, development set and, where it is there, the audio of the evaluation set."""

    title, holds, step_s = "MAESTRO Real", (f"{AUDIO}/", f"{TRACKS}/"), 1.0
    classes = Vocabulary.read(metadata_path("classes", "maestro.txt"))
    sets = (
        SetLayout("maestro_train", "training"),
        SetLayout("maestro_validation", "reported", excerpts_s=EXCERPTS_S),
        SetLayout("maestro_development", "training"),
        SetLayout("maestro_evaluation", "entered", labelled=False),
    )
    roots = (
        "",
        "maestro",
        "maestro_real",
        "maestro_dev",
        *(
            f"{place}MAESTRO_original/maestro_dev"
            for place in ("", "dataset/", "dcase/dataset/", "data/dcase/dataset/")
        ),
    )

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return the sets of the split, and the evaluation set."""
        chosen = {"2024": ("maestro_train", "maestro_validation"), "2023": ("maestro_development",)}
        tracks = {path.stem: path for path in sorted((root / TRACKS).glob("*/*.txt"))}
        audio = tuple(root / AUDIO / scene for scene in SCENES)
        out = []
        for layout in self.sets:
            name = layout.name.removeprefix("maestro_")
            if name == "evaluation":
                folders = _below(root, ("evaluation_audio", "Evaluation_audio"))
                looked_for = "no audio in evaluation_audio/ or Evaluation_audio/"
                out.append(SetOnDisk(layout, folders, looked_for=looked_for))
            elif layout.name in chosen[self.options.split]:
                of_set = [r for r, (part, _) in recordings().items() if part == name or name == "development"]
                tables = tuple(tracks[recording] for recording in of_set if recording in tracks)
                looked_for = f"no label track of its recordings in {TRACKS}/*/"
                out.append(SetOnDisk(layout, audio, tables, looked_for=looked_for))
        return out

    def files(self, s: SetOnDisk) -> dict[str, Path]:
        """Return the recordings of a set, all of which lie in the same folders; of the development set with a track."""
        files, of_set = super().files(s), {table.stem for table in s.tables}
        return {name: path for name, path in files.items() if not s.layout.labelled or stem(name) in of_set}

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read the label tracks; what is trained on is divided as in 2024, or dealt out as in 2023."""
        if not s.layout.labelled:
            s.group = {name: stem(name) for name in self.files(s)}
            return
        s.filenames = tuple(f"{table.stem}.wav" for table in s.tables)
        s.group = {name: stem(name) for name in s.filenames}
        if labels and s.tables:
            order = self.classes.labels if self.classes else None
            tables = [
                replace(read_strong(table, order, lenient, clip=table.stem, soft=True), filenames=(name,))
                for table, name in zip(s.tables, s.filenames, strict=True)
            ]
            s.strong = joined(tables, order, str(root / TRACKS))
        if s.name == "maestro_development":
            s.fold = {name: recordings()[stem(name)][1] for name in s.filenames}
        elif s.name == "maestro_train":
            trained = published_split(map(stem, s.filenames))
            s.fold = {name: "train" if stem(name) in trained else "select" for name in s.filenames}

    def unread(self, root: Path, sets: Sequence[SetOnDisk]) -> tuple[list[str], list[str]]:
        """Return recordings and tracks that the baselines' lists do not name, or that lack one another."""
        used = {table.stem for s in sets for table in s.tables}
        audio = [str(p.relative_to(root)) for p in files_of(root / AUDIO / scene for scene in SCENES).values()]
        tracks = [str(path.relative_to(root)) for path in sorted((root / TRACKS).glob("*/*.txt"))]
        return [x for x in audio if stem(Path(x).name) not in used], [x for x in tracks if Path(x).stem not in used]


def recordings() -> dict[str, tuple[str, str]]:
    """Return of each recording of the development set its part in 2024 and its fold in 2023."""
    table = read_table(metadata_path("maestro_recordings.tsv"), ("recording", "set", "fold"))
    return dict(zip(table["recording"], zip(table["set"], table["fold"], strict=True), strict=True))


def published_split(names: Iterable[str]) -> set[str]:
    """Return which training recordings are trained on in 2024; selection is on the others.

    Scene by scene they are shuffled, all by one Mersenne Twister with seed 42, and the first 90 %, rounded down, taken.

    Examples
    --------
    >>> sorted({f"metro_station_0{i}" for i in range(6)} - published_split(f"metro_station_0{i}" for i in range(6)))
    ['metro_station_03']
    """
    rng, trained = np.random.RandomState(SEED), set[str]()
    known = sorted(names)
    for scene in SCENES:
        of_scene = np.array([name for name in known if name.rpartition("_")[0] == scene], dtype=object)
        rng.shuffle(of_scene)
        trained.update(of_scene[: int(TRAIN_SHARE * len(of_scene))])
    return trained


def _below(root: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Return folders in the root, and those in them."""
    folders = [root / name for name in names if (root / name).is_dir()]
    return (*folders, *(path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()))
