"""Single faults of score folders and operating points: how each is made, and what has to be found."""

from __future__ import annotations

import random
from collections.abc import Callable

from submission_faults import Fault, Files, Severity, in_meta

from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING

SCORES: dict[str, tuple[Fault, str, str]] = {}


def in_scores(change: Callable[[list[list[str]]], None]) -> Fault:
    def fault(files: Files, rng: random.Random) -> None:
        name = rng.choice(sorted(n for n in files if ".output/" in n))
        rows = [line.split("\t") for line in files[name].decode().splitlines()]
        change(rows)
        files[name] = ("\n".join("\t".join(row) for row in rows) + "\n").encode()

    return fault


def put(row: int, column: int, value: str) -> Fault:
    return in_scores(lambda rows: rows[row].__setitem__(column, value))


def drop_folder(part: str) -> Fault:
    return lambda files, rng: [files.pop(n) for n in list(files) if part in n] and None


def raw_scores(change: Callable[[bytes], bytes]) -> Fault:
    def fault(files: Files, rng: random.Random) -> None:
        name = rng.choice(sorted(n for n in files if ".output/" in n))
        files[name] = change(files[name])

    return fault


def only_csv(files: Files, rng: random.Random) -> None:
    for name in [n for n in files if "_run1.output/" in n]:
        files[name.replace(".tsv", ".csv")] = files.pop(name)


def same_runs(files: Files, rng: random.Random) -> None:
    files.update({n.replace("_run1.", "_run3."): files[n] for n in list(files) if "_run1.output/" in n})


def column_twice(rows: list[list[str]]) -> None:
    for row in rows:
        row.append(row[4])


def add_scores(files: Files, rng: random.Random) -> None:
    name = rng.choice(sorted(n for n in files if ".output/" in n))
    files[name.rsplit("/", 1)[0] + "/stranger.tsv"] = files[name]


def without_column(rows: list[list[str]]) -> None:
    for row in rows:
        row.pop(4)


def extra_column(rows: list[list[str]]) -> None:
    for i, row in enumerate(rows):
        row.append("Piano" if i == 0 else "0.5")


def columns_without_end(rows: list[list[str]]) -> None:
    for i, row in enumerate(rows):
        row += [f"class {j}" if i == 0 else "0.5" for j in range(20_000)]


SCORES.update(
    {
        "run missing": (drop_folder("_run2.output/"), REFUSED, "run_missing"),
        "unprocessed missing": (drop_folder("_run3_unprocessed.output/"), WARNING, "unprocessed_missing"),
        "clip missing": (drop_folder("_run1.output/clip_04.tsv"), REFUSED, "clip_missing"),
        "clip not in the list": (add_scores, REFUSED, "unknown_clip"),
        "class column missing": (in_scores(without_column), REFUSED, "class_column"),
        "class column misspelt": (put(0, 4, "Catt"), REFUSED, "class_column"),
        "class column too many": (in_scores(extra_column), WARNING, "class_column_extra"),
        "columns without end": (in_scores(columns_without_end), REFUSED, "class_columns"),
        "header misspelt": (put(0, 0, "start"), REFUSED, "header"),
        "first window late": (put(1, 0, "0.5"), REFUSED, "windows_start"),
        "gap": (put(5, 0, "4.5"), REFUSED, "windows_gap"),
        "window left out": (in_scores(lambda rows: rows.pop(5) and None), REFUSED, "windows_gap"),
        "window backwards": (put(5, 1, "3.5"), REFUSED, "onset_offset"),
        "windows end early": (in_scores(lambda rows: rows.__delitem__(slice(6, None))), SCORED_WRONGLY, "windows_end"),
        "score not a number": (put(5, 5, "high"), REFUSED, "number"),
        "score NaN": (put(5, 5, "nan"), SCORED_WRONGLY, "number"),
        "score past 1": (put(5, 5, "7.5"), WARNING, "score_range"),
        "field too few": (in_scores(lambda rows: rows[3].pop() and None), SCORED_WRONGLY, "number"),
        "no tables": (only_csv, REFUSED, "tables_missing"),
        "class column twice": (in_scores(column_twice), REFUSED, "class_column_twice"),
        "CR LF": (raw_scores(lambda b: b.replace(b"\n", b"\r\n")), WARNING, "line_ends"),
        "commas": (raw_scores(lambda b: b.replace(b"\t", b",")), REFUSED, "separator"),
        "digits of another script": (put(5, 5, "٠.٥"), REFUSED, "number"),
        "underscore in a number": (put(5, 5, "0.5_0"), REFUSED, "number"),
        "the same run twice": (same_runs, WARNING, "runs_identical"),
        "no windows": (in_scores(lambda rows: rows.__delitem__(slice(1, None))), REFUSED, "table_empty"),
        "energy zero": (in_meta("system/complexity/energy/training", 0), SCORED_WRONGLY, "energy_zero"),
        "energy absent": (in_meta("system/complexity/energy/training", None), WARNING, "energy_absent"),
        "no CodeCarbon file": (drop_folder("codecarbon"), NOTE, "energy_files"),
    }
)

POINTS: dict[str, tuple[Fault, Severity, str]] = {
    "point misnamed": (
        lambda files, rng: files.update(
            {n.replace("_th_0.33", "_th_low"): files.pop(n) for n in list(files) if "_th_0.33" in n}
        ),
        WARNING,
        "point_name",
    ),
    "point of no bytes": (
        lambda files, rng: files.update({n: b"" for n in files if "_th_0.99" in n}),
        REFUSED,
        "table_empty",
    ),
    "thresholds in percent": (
        lambda files, rng: files.update(
            {n.replace("_th_0.", "_th_"): files.pop(n) for n in list(files) if "_th_0." in n}
        ),
        WARNING,
        "point_threshold",
    ),
    "point missing": (drop_folder("_th_0.51"), WARNING, "points_count"),
    "overlap in a point": (
        lambda files, rng: files.update(
            {
                n: files[n] + b"clip_01.wav\t8.0\t9.0\tCat\nclip_01.wav\t8.5\t9.5\tCat\n"
                for n in files
                if "_th_0.01" in n
            }
        ),
        {"dcase2020": WARNING, "": REFUSED},
        "overlap",
    ),
}
