"""The sets of DESED and where the official layouts, from 2018 to 2024, keep the audio and the tables of each.

The places are those that the recipes of the organisers name: DCASE-REPO/dcase2018_baseline (task4),
turpaultn/DCASE2019_task4, turpaultn/dcase20_task4, turpaultn/DESED, and DCASE-REPO/DESED_task for 2021 to 2024.
"""

from __future__ import annotations

from sedkit.datasets.base import Place, SetLayout

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


def _soundscapes(folder: str) -> Place:
    return Place((f"audio/{folder}/soundscapes", f"audio/{folder}"), (f"metadata/{folder}/soundscapes",))


#: Audio of the validation set, and the folder of its tables.
VALIDATION = ("audio/validation/validation", "audio/validation")
META = "metadata/validation"


def _place(name: str, table: str = "") -> Place:
    return Place((f"audio/{name}",), (f"metadata/{table or name}",))


SETS = (
    SetLayout("weak", "training", (_place("train/weak"),)),
    SetLayout(
        "synthetic",
        "training",
        (
            *(
                _soundscapes(f"train/{name}")
                for name in ("synthetic21_train", "synthetic20_train", "synthetic20", "synthetic20_reverb")
            ),
            _place("train/synthetic"),
            _place("train/synthetic", "train/soundscapes/synthetic"),
        ),
    ),
    SetLayout(
        "synthetic_validation",
        "tuning",
        (_soundscapes("validation/synthetic21_validation"), _soundscapes("validation/synthetic20_validation")),
    ),
    SetLayout("strong_label_real", "training", (_place("train/strong_label_real", "train/audioset_strong"),)),
    *(
        SetLayout(name, "training", (_place(f"train/{folder}"),), labelled=False, ledger=folder)
        for name, folder in (("unlabelled", "unlabel_in_domain"), ("unlabelled_out_of_domain", "unlabel_out_of_domain"))
    ),
    SetLayout(
        "validation",
        "reported",
        (
            Place(VALIDATION, (f"{META}/validation",)),
            Place(VALIDATION, (f"{META}/test_dcase2018", f"{META}/eval_dcase2018")),
            Place(VALIDATION, (f"{META}/validation_old",)),
            _place("test", "test/test"),
        ),
    ),
    SetLayout("public", "reported", (_place("eval/public"),), whole_folder=True),
)
#: The sets of 2018 that validation clips come from, and their tables.
VALIDATION_PARTS = {
    "test_dcase2018": (f"{META}/test_dcase2018", "metadata/test/test"),
    "eval_dcase2018": (f"{META}/eval_dcase2018",),
}
