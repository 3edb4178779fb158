"""DCASE 2020 Task 4: sound event detection and separation in domestic environments.

The meta fields are those that `validate_submissions.py` of dcase20_task4 reads; it also takes `sed_system` and
`sed_results` for `system` and `results`, and reads `ss_system` and `ss_results` where they stand. The name of the
folder of operating points was seen in SED-MME-eval's code.
"""

from sedkit.submission.formats._format import Format, PointFolder, meta_fields

FORMAT = Format(
    name="dcase2020",
    year=2020,
    title="Sound event detection and separation in domestic environments",
    task_codes=("task4_SED", "task4_SS_SED", "task4_SSep_SED"),
    example_labels=("Turpault_INR_task4_SED_1", "Wisdom_GOO_task4_SS_1"),
    table_suffix=".output.tsv",
    points=PointFolder(),
    fields=meta_fields("who", "system", "f_scores"),
    separation=meta_fields("separation"),
    # Overlapping events of a class were ranked: psds_eval refuses them since 0.4 of 2021.
    baseline_refused=True,
    every_yaml=True,
    source_code_examples={
        "system.source_code": "https://github.com/turpaultn/dcase20_task4/tree/public_branch/baseline",
        "ss_system.source_code": "https://github.com/google-research/sound-separation/tree/master/models/"
        "dcase2020_fuss_baseline",
    },
    unverified=("the folder of operating points: asked of everyone, 50 thresholds",),
    sources=(
        "https://dcase.community/challenge2020/submission (package, 4 systems, meta file, report)",
        "https://github.com/turpaultn/dcase20_task4 validate_submissions.py (labels, authors, meta fields, those of a "
        "separation system, report)",
        "https://dcase.community/challenge2020/rules (report of (4+1) pages)",
        "74 packages of 2020 as ranked (labels, file names, overlaps that no rule describes)",
    ),
)

FORMATS = (FORMAT,)
