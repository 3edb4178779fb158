"""The sets of DESED and where the official layouts, from 2018 to 2024, keep the audio and the tables of each.

The places are those that the recipes of the organisers name: DCASE-REPO/dcase2018_baseline (task4),
turpaultn/DCASE2019_task4, turpaultn/dcase20_task4, turpaultn/DESED, and DCASE-REPO/DESED_task for 2021 to 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sedkit.datasets.splits import SHARES

#: Folders with `audio/` and `metadata/` of their own in a root: what 2022 to 2024 download apart, and what DESED's own
#: repository makes.
TREES = ("", "dcase_synth", "real", "synthetic")
#: Where people keep a root, below the folder that they name.
ROOTS = (
    "",
    "dataset",
    "desed",
    "desed/dataset",
    "dcase/dataset",
    *(f"dcase20{year}/dataset" for year in (18, 19, 20, 21)),
    "data/dcase/dataset",
    "data/dcase2021/dataset",
)


class Place(NamedTuple):
    """Folders below `audio/` that belong together, the best first, and tables below `metadata/`, all to be joined."""

    audio: tuple[str, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True)
class KnownSet:
    """A set of the official layouts.

    Attributes
    ----------
    name, ledger, side, whole_folder, labelled, shares
        As in `desed_layout.Source`.
    places
        Where it lies in one layout or another, the newest first.
    """

    name: str
    ledger: str
    side: str
    places: tuple[Place, ...]
    whole_folder: bool = False
    labelled: bool = True
    shares: tuple[float, ...] | None = SHARES


def _soundscapes(folder: str) -> Place:
    return Place((f"{folder}/soundscapes", folder), (f"{folder}/soundscapes",))


_VALIDATION = ("validation/validation", "validation")
SETS = (
    KnownSet("weak", "weak", "training", (Place(("train/weak",), ("train/weak",)),)),
    KnownSet(
        "synthetic",
        "synthetic",
        "training",
        (
            *(
                _soundscapes(f"train/{name}")
                for name in ("synthetic21_train", "synthetic20_train", "synthetic20", "synthetic20_reverb")
            ),
            Place(("train/synthetic",), ("train/synthetic",)),
            Place(("train/synthetic",), ("train/soundscapes/synthetic",)),
        ),
    ),
    # The synthetic validation set is held out whole.
    KnownSet(
        "synthetic_validation",
        "synthetic_validation",
        "training",
        (_soundscapes("validation/synthetic21_validation"), _soundscapes("validation/synthetic20_validation")),
        shares=(0.0, 0.5, 0.5),
    ),
    KnownSet(
        "strong_label_real",
        "strong_label_real",
        "training",
        (Place(("train/strong_label_real",), ("train/audioset_strong",)),),
    ),
    # Unlabelled clips serve neither selection nor tuning.
    *(
        KnownSet(name, f, "training", (Place((f"train/{f}",), (f"train/{f}",)),), labelled=False, shares=None)
        for name, f in (
            ("unlabelled", "unlabel_in_domain"),
            ("unlabelled_out_of_domain", "unlabel_out_of_domain"),
        )
    ),
    KnownSet(
        "validation",
        "validation",
        "reported",
        (
            Place(_VALIDATION, ("validation/validation",)),
            Place(_VALIDATION, ("validation/test_dcase2018", "validation/eval_dcase2018")),
            Place(_VALIDATION, ("validation/validation_old",)),
            Place(("test",), ("test/test",)),
        ),
    ),
    KnownSet("public", "public", "reported", (Place(("eval/public",), ("eval/public",)),), whole_folder=True),
)
#: The sets of 2018 that validation clips come from, and their tables.
VALIDATION_PARTS = {
    "test_dcase2018": ("validation/test_dcase2018", "test/test"),
    "eval_dcase2018": ("validation/eval_dcase2018",),
}
