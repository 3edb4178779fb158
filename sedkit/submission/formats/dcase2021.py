"""DCASE 2021 Task 4: sound event detection and separation in domestic environments.

Separate systems for the two PSDS scenarios were allowed, each with a folder of operating points.
"""

from sedkit.submission.formats._format import Format, PointFolder, meta_fields

FORMAT = Format(
    name="dcase2021",
    year=2021,
    title="Sound event detection and separation in domestic environments",
    task_codes=("task4_SED", "task4_SS_SED", "task4_SSep_SED"),
    example_labels=("Turpault_INR_task4_SED_1", "Ronchini_INR_task4_SED_1"),
    table_suffix=".output.tsv",
    points=PointFolder(required=True),
    fields=meta_fields("who", "system", "f_scores", "psds"),
    separation=meta_fields("separation_unverified"),
    overlaps_refused=True,
    unverified=(
        "the folder of operating points: its name, 50 thresholds",
        "PSDS1 and PSDS2 in results.development_dataset.overall",
        "ss_system and ss_results (known from 2020)",
        "the example labels of the template",
        "the report's 5 pages (known from 2020 and 2023)",
    ),
    sources=("https://dcase.community/challenge2021/submission (package, 4 systems, meta file, report)",),
)

FORMATS = (FORMAT,)
