"""DCASE 2022 Task 4: sound event detection in domestic environments; energy in kWh for the first time.

Verified in the baselines' readme: energy of training, devtest inference and evaluation inference by CodeCarbon, and
that of the organisers' baseline on the same hardware.
"""

from sedkit.submission.formats._format import Format, PointFolder, meta_fields

_ENERGY = ("energy", "energy_of_evaluation", "energy_of_baseline")

FORMAT = Format(
    name="dcase2022",
    year=2022,
    title="Sound event detection in domestic environments",
    task_codes=("task4", "task4_SED"),
    example_labels=("Turpault_INR_task4_1", "Ronchini_INR_task4_1"),
    table_suffix=".output.tsv",
    points=PointFolder(required=True),
    fields=meta_fields("who", "system", "f_scores", "psds", *_ENERGY),
    overlaps_refused=True,
    unverified=(
        "labels: task4 with or without a track",
        "the folder of operating points: its name, 50 thresholds",
        "the keys of energy (the system's, the baseline's on the same hardware) and PSDS in the meta file",
        "the example labels of the template",
        "the report's 5 pages (known from 2020 and 2023)",
    ),
    sources=(
        "https://github.com/DCASE-REPO/DESED_task recipes/dcase2022_task4_baseline, dcase2023_task4_baseline README "
        "(energy: training, devtest inference, evaluation inference)",
        "https://dcase.community/challenge2022 task 4 page (no separate track for sound separation)",
    ),
)

FORMATS = (FORMAT,)
