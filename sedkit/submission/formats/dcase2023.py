"""DCASE 2023 Task 4, subtasks A (weak labels and synthetic soundscapes) and B (soft labels).

Verified in the baseline's readme: timestamped scores of three trainings, post-processed and unprocessed, energy and
MACs for 10 s. The folder names are those of the 2024 validator, unverified for 2023. For B no validator or template was
found: its whole layout is unverified and taken from A; its 17 classes are MAESTRO Real's, 11 of them evaluated. No
recipe here produces B: give foreign scores to `sedkit pack --scores`.
"""

from sedkit.submission.formats._format import MAESTRO_CLASSES, Format, ScoreRuns, meta_fields

_COMPLEXITY = ("energy", "energy_of_evaluation", "energy_of_baseline", "macs")

SUBTASK_A = Format(
    name="dcase2023a",
    year=2023,
    title="Sound event detection with weak labels and synthetic soundscapes (subtask A)",
    task_codes=("task4a",),
    scores=ScoreRuns(),
    fields=meta_fields("who", "system", "psds", *_COMPLEXITY),
    energy_mandatory=True,
    unverified=(
        "labels: task4a",
        "the folder names of the runs (known from 2024)",
        "the keys of PSDS, energy and MACs in the meta file",
        "whether the meta file states the figures of one run or the mean of the three",
    ),
    sources=(
        "https://github.com/DCASE-REPO/DESED_task recipes/dcase2023_task4_baseline README (scores, three runs, "
        "unprocessed scores, energy, MACs)",
        "https://dcase.community/challenge2023/rules (report of (4+1) pages) and the task's page (energy is mandatory)",
    ),
)

SUBTASK_B = Format(
    name="dcase2023b",
    year=2023,
    title="Sound event detection with soft labels (subtask B)",
    task_codes=("task4b",),
    labels=MAESTRO_CLASSES,
    scores=ScoreRuns(runs=1, unprocessed=False, suffix=".output"),
    fields=meta_fields("who", "system", *_COMPLEXITY),
    longest_clip_s=3600.0,
    unverified=("the whole layout: labels, folders, columns, meta fields",),
    sources=("https://github.com/marmoi/dcase2023_task4b_baseline (classes, 1-s resolution)",),
)

FORMATS = (SUBTASK_A, SUBTASK_B)
