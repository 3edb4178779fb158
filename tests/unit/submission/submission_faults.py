"""Single faults: how each is made in a correct package, and what has to be found."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import yaml
from submission_packages import pdf

from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING

Files = dict[str, bytes]
Fault = Callable[[Files, random.Random], None]

EVENT_FORMATS = ("dcase2018", "dcase2019", "dcase2020", "dcase2021", "dcase2022")
SCORE_FORMATS = ("dcase2023a", "dcase2024")


def only(files: Files, ending: str) -> str:
    names = [name for name in files if name.endswith(ending) and name.count("/") == 1]
    assert len(names) == 1, names
    return names[0]


def rename(old: str, new: str) -> Fault:
    def fault(files: Files, rng: random.Random) -> None:
        name = only(files, old)
        files[name.removesuffix(old) + new] = files.pop(name)

    return fault


def drop(ending: str) -> Fault:
    return lambda files, rng: [files.pop(name) for name in list(files) if name.endswith(ending)] and None


def relabel(label: Callable[[str], str]) -> Fault:
    """Rename the system throughout: folder, files and meta."""

    def fault(files: Files, rng: random.Random) -> None:
        old = next(name for name in files if "/" in name).split("/")[0]
        for name in [n for n in files if "/" in n]:
            data = files.pop(name)
            if name.endswith(".meta.yaml"):
                data = data.replace(f"label: {old}".encode(), f"label: {label(old)}".encode())
            files[name.replace(old, label(old))] = data

    return fault


def in_table(change: Callable[[list[list[str]], random.Random], None]) -> Fault:
    """Change the cells of the event table."""

    def fault(files: Files, rng: random.Random) -> None:
        name = next(n for n in files if ".output." in n.split("/")[-1] and n.count("/") == 1)
        rows = [line.split("\t") for line in files[name].decode().splitlines()]
        change(rows, rng)
        files[name] = ("\n".join("\t".join(row) for row in rows) + "\n").encode()

    return fault


def event(rows: list[list[str]], rng: random.Random) -> list[str]:
    """Pick the event of a clip that has only one: changing it touches no other."""
    return rng.choice([row for row in rows[1:] if row[1] and sum(r[0] == row[0] for r in rows) == 1])


def cell(column: int, value: str | Callable[[str], str]) -> Fault:
    def change(rows: list[list[str]], rng: random.Random) -> None:
        row = event(rows, rng)
        row[column] = value if isinstance(value, str) else value(row[column])

    return in_table(change)


def add_row(row: Callable[[list[str]], list[str]]) -> Fault:
    def change(rows: list[list[str]], rng: random.Random) -> None:
        found = event(rows, rng)
        rows.insert(rng.randrange(1, len(rows) + 1), row(found))

    return in_table(change)


def raw_table(change: Callable[[bytes], bytes]) -> Fault:
    def fault(files: Files, rng: random.Random) -> None:
        name = next(n for n in files if ".output." in n.split("/")[-1] and n.count("/") == 1)
        files[name] = change(files[name])

    return fault


def in_meta(path: str, value: Any = ..., change: Callable[[Any], Any] | None = None) -> Fault:
    """Set, change or (without a value) remove a key of the meta file."""

    def fault(files: Files, rng: random.Random) -> None:
        name = only(files, ".meta.yaml")
        meta = yaml.load(files[name], Loader=yaml.CSafeLoader)
        *way, last = path.split("/")
        place = meta
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        key: Any = int(last) if isinstance(place, list) else last
        if change:
            place[key] = change(place[key])
        elif value is ...:
            del place[key]
        else:
            place[key] = value
        files[name] = yaml.dump(meta, Dumper=yaml.CSafeDumper, sort_keys=False).encode()

    return fault


def raw_meta(change: Callable[[bytes], bytes]) -> Fault:
    def fault(files: Files, rng: random.Random) -> None:
        name = only(files, ".meta.yaml")
        files[name] = change(files[name])

    return fault


def in_report(data: bytes) -> Fault:
    return lambda files, rng: files.update({name: data for name in files if name.endswith(".pdf")})


def second_author_example(files: Files, rng: random.Random) -> None:
    """The template's author, whole: her surname alone is nobody's fault."""
    doe = {"lastname": "Doe", "firstname": "J", "email": "x@y", "affiliation": [{"abbreviation": "INST"}]}
    in_meta("submission/authors/1", doe)(files, rng)


def in_folder_of_system(ending: str) -> Fault:
    """Move the files at the top with an ending into the system's folder."""

    def fault(files: Files, rng: random.Random) -> None:
        home = next(name for name in files if "/" in name).split("/")[0]
        for name in [n for n in files if n.endswith(ending) and "/" not in n]:
            files[f"{home}/{name}"] = files.pop(name)

    return fault


def deeper(folder: str) -> Fault:
    return lambda files, rng: files.update({f"{folder}/{n}": files.pop(n) for n in list(files)})


def copied(folder: str) -> Fault:
    return lambda files, rng: files.update({f"{folder}/{n}": files[n] for n in list(files) if "/" in n})


F1 = "results/development_dataset"
_DESC = "system/description"

#: A severity by format, "" stands for all others: what stops the script of 2024 is a warning in other years.
Severity = str | dict[str, str]
STOPS_2024: Severity = {"dcase2024": REFUSED, "": WARNING}

#: Faults of every format: how it is made, and what has to be found.
COMMON: dict[str, tuple[Fault, Severity, str]] = {
    "no report": (drop(".pdf"), REFUSED, "report_missing"),
    "report is text": (in_report(b"to be written " * 200), REFUSED, "report_placeholder"),
    "report cut short": (in_report(pdf()[:-300]), REFUSED, "report_placeholder"),
    "report too small": (in_report(b"%PDF-1.4\n%%EOF\n"), REFUSED, "report_placeholder"),
    "report of lorem ipsum": (in_report(pdf("Lorem ipsum")), REFUSED, "report_placeholder"),
    "no meta file": (drop(".meta.yaml"), REFUSED, "meta_missing"),
    "meta file misnamed": (rename(".meta.yaml", ".yaml"), STOPS_2024, "meta_name"),
    "meta file not YAML": (raw_meta(lambda b: b + b"\n: [\n"), REFUSED, "meta_unreadable"),
    "meta file a list": (raw_meta(lambda b: b"- 1\n"), REFUSED, "meta_unreadable"),
    "meta file not UTF-8": (raw_meta(lambda b: b.replace(b"Berg", b"B\xe9rg")), REFUSED, "encoding"),
    "hash sign in a value": (
        in_meta(f"{_DESC}/machine_learning_method", "CNN #2"),
        REFUSED,
        "meta_hash_sign",
    ),
    "task misspelt": (relabel(lambda x: x.replace("_task", "_taks")), WARNING, "label_pattern"),
    "no institute": (relabel(lambda x: x.replace("_UNI_", "_")), STOPS_2024, "label_pattern"),
    "number past the limit": (relabel(lambda x: x[:-1] + "7"), WARNING, "label_number"),
    "label of another": (in_meta("submission/label", "Someone_ELSE_task4_1"), STOPS_2024, "label_not_folder"),
    "no label": (in_meta("submission/label"), REFUSED, "meta_field_missing"),
    "label of another author": (relabel(lambda x: x.replace("Okafor", "Smith")), NOTE, "label_author"),
    "no name": (in_meta("submission/name", None), REFUSED, "meta_field_missing"),
    "long abbreviation": (in_meta("submission/abbreviation", "ConvolutionalNet"), WARNING, "abbreviation_long"),
    "no authors": (in_meta("submission/authors"), REFUSED, "author_missing"),
    "empty authors": (in_meta("submission/authors", []), REFUSED, "author_missing"),
    "example author": (second_author_example, WARNING, "author_example"),
    "example address": (in_meta("submission/authors/1/email", "x@example.org"), WARNING, "author_example"),
    "author without first name": (in_meta("submission/authors/1/firstname"), REFUSED, "author_name"),
    "author without affiliation": (in_meta("submission/authors/1/affiliation"), WARNING, "author_affiliation"),
    "no corresponding author": (in_meta("submission/authors/0/corresponding"), REFUSED, "author_corresponding"),
    "two corresponding authors": (
        in_meta("submission/authors/1/corresponding", True),
        WARNING,
        "author_corresponding",
    ),
    "no address": (in_meta("submission/authors/0/email"), WARNING, "author_email"),
    "sampling rate as text": (in_meta(f"{_DESC}/input_sampling_rate", "32 kHz"), REFUSED, "meta_field_type"),
    "sampling rate in Hz": (in_meta(f"{_DESC}/input_sampling_rate", 32000), WARNING, "sampling_rate_hz"),
    "no sampling rate": (in_meta(f"{_DESC}/input_sampling_rate"), REFUSED, "meta_field_missing"),
    "unknown features": (in_meta(f"{_DESC}/acoustic_features", "log mel"), WARNING, "features_unknown"),
    "features a number": (in_meta(f"{_DESC}/acoustic_features", 64), REFUSED, "meta_field_type"),
    "parameters as text": (in_meta("system/complexity/total_parameters", "4.7M"), REFUSED, "meta_field_type"),
    "parameters a float": (in_meta("system/complexity/total_parameters", 4.7e6), REFUSED, "meta_field_type"),
    "no parameters": (in_meta("system/complexity/total_parameters", None), REFUSED, "meta_field_missing"),
    "no source code key": (in_meta("system/source_code"), REFUSED, "meta_field_missing"),
    "sampling rate infinite": (in_meta(f"{_DESC}/input_sampling_rate", math.inf), WARNING, "meta_field_type"),
    "no system block": (in_meta("system"), {"dcase2020": WARNING, "": REFUSED}, "meta_block_missing"),
    "no submission block": (in_meta("submission"), REFUSED, "meta_block_missing"),
    "key twice": (
        raw_meta(lambda b: b.replace(b"  abbreviation: CNN\n", b"  abbreviation: CNN\n  name: Another\n", 1)),
        SCORED_WRONGLY,
        "meta_key_twice",
    ),
    "key twice with the same value": (
        raw_meta(lambda b: b.replace(b"  abbreviation: CNN\n", b"  abbreviation: CNN\n" * 2, 1)),
        WARNING,
        "meta_key_twice",
    ),
    "corresponding: no, as text": (
        in_meta("submission/authors/0/corresponding", "no"),
        WARNING,
        "author_corresponding",
    ),
    "corresponding: no, as text of another": (
        in_meta("submission/authors/1/corresponding", "no"),
        WARNING,
        "author_corresponding",
    ),
    "number with a zero": (relabel(lambda x: x[:-1] + "0" + x[-1]), WARNING, "label_pattern"),
    "report within the system": (in_folder_of_system(".pdf"), REFUSED, "report_place"),
    "report in another folder": (
        lambda files, rng: files.update({f"docs/{n}": files.pop(n) for n in list(files) if n.endswith(".pdf")}),
        REFUSED,
        "report_place",
    ),
    "report in capitals": (
        lambda files, rng: files.update({f"{n[:-4]}.PDF": files.pop(n) for n in list(files) if n.endswith(".pdf")}),
        REFUSED,
        "report_name",
    ),
    "a zip beside": (lambda files, rng: files.update({"inner.zip": b"PK"}), WARNING, "extra_file"),
    "a readme beside": (lambda files, rng: files.update({"README": b"read"}), WARNING, "extra_file"),
    "a YAML beside": (lambda files, rng: files.update({"extra.yaml": b"a: 1"}), WARNING, "extra_file"),
    "a meta file beside": (lambda files, rng: files.update({"x.meta.yaml": b"a: 1"}), WARNING, "extra_file"),
    "a folder beside": (
        lambda files, rng: files.update({"code/a.py": b"1", "code/b.py": b"1"}),
        STOPS_2024,
        "extra_folder",
    ),
    "all a folder too deep": (deeper("pkg"), REFUSED, "nested"),
    "all two folders too deep": (deeper("a/b"), REFUSED, "nested"),
    "a copy of the system": (copied("copy"), STOPS_2024, "label_twice"),
    "a copy of the system, too deep": (copied("old/copy"), STOPS_2024, "label_twice"),
    "file manager's rubbish": (
        lambda files, rng: files.update({"__MACOSX/._x": b"1"}),
        {"dcase2024": REFUSED, "": NOTE},
        "stray_file",
    ),
}
