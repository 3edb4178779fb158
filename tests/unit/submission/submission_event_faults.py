"""Single faults of event tables and of the results beside them: how each is made, and what has to be found."""

from __future__ import annotations

import random

from submission_faults import F1, Fault, Files, Severity, add_row, cell, event, in_meta, in_table, only, raw_table

from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING

_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def swap(rows: list[list[str]], rng: random.Random) -> None:
    row = event(rows, rng)
    row[1], row[2] = row[2], row[1]


def cut_row(rows: list[list[str]], rng: random.Random) -> None:
    event(rows, rng).pop()


def empty_twice(rows: list[list[str]], rng: random.Random) -> None:
    rows.append(list(rng.choice([row for row in rows[1:] if not row[1]])))


def without_clip(rows: list[list[str]], rng: random.Random) -> None:
    rows.remove(event(rows, rng))


def _join(row: list[str]) -> None:
    row[:] = [" ".join(row)]


def class_fractions(files: Files, rng: random.Random) -> None:
    in_meta(f"{F1}/class_wise", change=lambda x: {k: {"F-score": v["F-score"] / 100} for k, v in x.items()})(files, rng)


def all_fractions(files: Files, rng: random.Random) -> None:
    class_fractions(files, rng)
    in_meta(f"{F1}/overall/F-score", 0.325)(files, rng)


EVENTS: dict[str, tuple[Fault, Severity, str]] = {
    "output misnamed": (
        lambda files, rng: files.update(
            {
                n.replace("Okafor_UNI", "Okafor_INS").replace("Okafor_INS", "Okafor_UNI", 1): files.pop(n)
                for n in list(files)
                if ".output." in n.split("/")[-1] and n.count("/") == 1
            }
        ),
        WARNING,
        "output_name",
    ),
    "no output": (
        lambda files, rng: [files.pop(n) for n in list(files) if ".output." in n.split("/")[-1]] and None,
        REFUSED,
        "output_missing",
    ),
    "foreign file": (
        lambda files, rng: files.update({only(files, ".meta.yaml").replace(".meta.yaml", ".ckpt"): b"x"}),
        WARNING,
        "extra_file",
    ),
    "foreign folder": (
        lambda files, rng: files.update({only(files, ".meta.yaml").split("/")[0] + "/code/a.py": b"x"}),
        WARNING,
        "extra_folder",
    ),
    "byte order mark": (raw_table(lambda b: b"\xef\xbb\xbf" + b), WARNING, "bom"),
    "CR LF": (raw_table(lambda b: b.replace(b"\n", b"\r\n")), WARNING, "line_ends"),
    "Latin-1": (raw_table(lambda b: b.replace(b"clip_05", b"cl\xefp_05")), REFUSED, "encoding"),
    "empty file": (raw_table(lambda b: b""), REFUSED, "table_empty"),
    "header only": (raw_table(lambda b: b.split(b"\n")[0] + b"\n"), SCORED_WRONGLY, "table_empty"),
    "commas": (raw_table(lambda b: b.replace(b"\t", b",")), REFUSED, "separator"),
    "spaces": (raw_table(lambda b: b.replace(b"\t", b"  ")), REFUSED, "separator"),
    "no header": (raw_table(lambda b: b.split(b"\n", 1)[1]), REFUSED, "header_missing"),
    "header misspelt": (raw_table(lambda b: b.replace(b"event_label", b"label", 1)), REFUSED, "header"),
    "columns in another order": (
        in_table(lambda rows, rng: [row.insert(0, row.pop()) for row in rows] and None),
        WARNING,
        "header",
    ),
    "index column": (
        raw_table(lambda b: b"\n".join(b"%d\t" % i + x for i, x in enumerate(b.splitlines())) + b"\n"),
        WARNING,
        "header",
    ),
    "blank line": (in_table(lambda rows, rng: rows.insert(rng.randrange(2, len(rows)), [""])), NOTE, "blank_line"),
    "no filename": (add_row(lambda row: ["", *row[1:]]), SCORED_WRONGLY, "filename_missing"),
    "field too few": (in_table(cut_row), SCORED_WRONGLY, "unknown_class"),
    "field too many": (cell(3, lambda x: f"{x}\t0.9"), REFUSED, "row_fields"),
    "onset as text": (cell(1, "start"), REFUSED, "number"),
    "decimal comma": (cell(2, lambda x: x.replace(".", ",")), REFUSED, "number"),
    "onset missing": (cell(1, ""), SCORED_WRONGLY, "number"),
    "infinite offset": (cell(2, "inf"), SCORED_WRONGLY, "number"),
    "times swapped": (in_table(swap), SCORED_WRONGLY, "onset_offset"),
    "no duration": (cell(2, "0.0"), SCORED_WRONGLY, "onset_offset"),
    "negative onset": (cell(1, "-0.5"), SCORED_WRONGLY, "negative_time"),
    "past the clip": (cell(2, "20.02"), SCORED_WRONGLY, "time_past_clip"),
    "just past the clip": (cell(2, "10.2"), WARNING, "time_past_clip"),
    "milliseconds": (cell(2, lambda x: f"{1000 * float(x):.0f}"), SCORED_WRONGLY, "time_past_clip"),
    "all of it just past the clip": (
        add_row(lambda row: [row[0], "10.500", "10.900", "Dog"]),
        WARNING,
        "time_past_clip",
    ),
    "digits of another script": (cell(1, lambda x: x.translate(_ARABIC)), REFUSED, "number"),
    "rows with commas below a header with TABs": (
        raw_table(lambda b: b.replace(b"\t", b",").replace(b",", b"\t", 3)),
        SCORED_WRONGLY,
        "separator",
    ),
    "a row with spaces": (in_table(lambda rows, rng: _join(event(rows, rng))), SCORED_WRONGLY, "separator"),
    "unknown class": (cell(3, "Piano"), SCORED_WRONGLY, "unknown_class"),
    "class with a space": (cell(3, lambda x: x + " "), SCORED_WRONGLY, "unknown_class"),
    "class in lower case": (cell(3, str.lower), SCORED_WRONGLY, "unknown_class"),
    "class missing": (cell(3, ""), SCORED_WRONGLY, "unknown_class"),
    "clip not in the list": (
        add_row(lambda row: ["other.wav", "1.0", "2.0", "Dog"]),
        SCORED_WRONGLY,
        "unknown_clip",
    ),
    "same row twice": (add_row(list), SCORED_WRONGLY, "duplicate_row"),
    "same empty row twice": (in_table(empty_twice), SCORED_WRONGLY, "duplicate_row"),
    "empty row beside events": (
        add_row(lambda row: [row[0], "", "", ""]),
        SCORED_WRONGLY,
        "empty_row_beside_events",
    ),
    "clip without a row": (in_table(without_clip), NOTE, "clip_missing"),
    "no results": (in_meta("results"), REFUSED, "meta_block_missing"),
    "F-score as text": (in_meta(f"{F1}/overall/F-score", "32.5 %"), REFUSED, "meta_field_type"),
    "no F-score": (in_meta(f"{F1}/overall/F-score"), REFUSED, "meta_field_missing"),
    "F-score past 100": (in_meta(f"{F1}/overall/F-score", 325.0), SCORED_WRONGLY, "meta_field_type"),
    "F-score a fraction": (in_meta(f"{F1}/overall/F-score", 0.325), SCORED_WRONGLY, "percent_as_fraction"),
    "all F-scores fractions": (all_fractions, SCORED_WRONGLY, "percent_as_fraction"),
    "F-scores of the classes fractions": (class_fractions, SCORED_WRONGLY, "percent_as_fraction"),
    "F-score not the mean": (in_meta(f"{F1}/overall/F-score", 39.0), WARNING, "results_mean"),
    "no classes": (in_meta(f"{F1}/class_wise"), REFUSED, "meta_field_missing"),
    "class figure as text": (in_meta(f"{F1}/class_wise/Frying/F-score", "n/a"), REFUSED, "meta_field_type"),
}
