"""DCASE 2018 Task 4: large-scale weakly labeled semi-supervised sound event detection in domestic environments.

The reader of the organisers takes TAB text with a header in its first row.
"""

from sedkit.submission.formats._format import Format, meta_fields

FORMAT = Format(
    name="dcase2018",
    year=2018,
    title="Large-scale weakly labeled semi-supervised sound event detection in domestic environments",
    task_codes=("task4",),
    example_labels=("Serizel_UL_task4_1", "Turpault_INR_task4_1", "Baseline_UL_task4_1"),
    table_suffix=".output.csv",
    fields=meta_fields("who", "system", "f_scores"),
    unverified=(
        "a clip without an event is a row with only the file name",
        "the example labels of the template",
        "the description fields other than sampling rate, features and parameter count",
    ),
    sources=(
        "https://dcase.community/challenge2018/rules (report of 5 pages)",
        "https://dcase.community/challenge2018/submission (package, 4 systems, meta file, report)",
        "https://dcase.community/challenge2018/task-large-scale-weakly-labeled-semi-supervised-sound-event-detection-"
        "results (labels as handed in)",
    ),
)

FORMATS = (FORMAT,)
