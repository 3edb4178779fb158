"""DCASE 2019 Task 4: sound event detection in domestic environments."""

from sedkit.submission.formats._format import Format, meta_fields

FORMAT = Format(
    name="dcase2019",
    year=2019,
    title="Sound event detection in domestic environments",
    task_codes=("task4",),
    example_labels=("Turpault_INR_task4_1",),
    table_suffix=".output.csv",
    fields=meta_fields("who", "system", "f_scores"),
    unverified=(
        "a clip without an event is a row with only the file name",
        "the example labels of the template",
        "the description fields other than sampling rate, features and parameter count",
    ),
    sources=(
        "https://dcase.community/challenge2019/submission (package, 4 systems, meta file, report)",
        "https://dcase.community/challenge2019/rules (report of 5 pages)",
    ),
)

FORMATS = (FORMAT,)
