"""DCASE 2024 Task 4: heterogeneous training data and potentially missing labels; scores of 27 classes.

Verified in the organisers' validator: labels, folder names, three runs of exactly 2200 clips, unprocessed folders
(their absence is a warning), classes, meta fields. The script lets 8 systems pass; the rules say 4. No recipe here
produces these 27 classes: give foreign scores to `sedkit pack --scores`.
"""

from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.submission.formats._format import MAESTRO_CLASSES, Format, ScoreRuns, meta_fields

FORMAT = Format(
    name="dcase2024",
    year=2024,
    title="Sound event detection with heterogeneous training dataset and potentially missing labels",
    task_codes=("task4",),
    example_labels=("Cornell_CMU_task4_1",),
    labels=(*DESED_CLASSES.labels, *MAESTRO_CLASSES),
    scores=ScoreRuns(clips=2200),
    # No inference on the evaluation set is asked for.
    fields=meta_fields("who", "system", "devtest", "energy", "energy_of_baseline", "macs"),
    baseline_refused=True,
    folders_checked=True,
    energy_mandatory=True,
    longest_clip_s=3600.0,
    source_code_examples={
        "system.source_code": "https://github.com/turpaultn/dcase20_task4/tree/public_branch/baseline"
    },
    unverified=(
        "the keys of energy and MACs in the meta file",
        "the names of the codecarbon files",
        "the report's 5 pages (known from 2020 and 2023)",
        "whether the meta file states the figures of one run or the mean of the three",
    ),
    sources=(
        "https://dcase.community/challenge2024/submission (package, 4 systems, meta file, report)",
        "the organisers' validate_submissions.py of 2024 (labels, folders, 2200 clips, classes, meta fields, report)",
        "https://github.com/DCASE-REPO/DESED_task recipes/dcase2024_task4_baseline README and trainer (three runs, "
        "energy of training and devtest inference with CodeCarbon's csv files, how PSDS and mean pAUC are computed)",
    ),
)

FORMATS = (FORMAT,)
