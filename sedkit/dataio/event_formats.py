r"""What tables of events look like on disk: the challenge's table, JSON, Audacity's label tracks, Raven's selections.

Each format is an entry of `FORMATS`, which says how it is written. Reading goes by content, not by names: what a file
holds becomes the columns of the challenge's table, each row with its line in the file, so that everything that is
checked there is checked here (`sedkit.dataio.tables.read_events`). Label tracks and selections do not name their
recording: it is the one of their own name (`NAME.txt`, `NAME.Table.1.selections.txt` of NAME).
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sedkit.core.errors import SedkitError, first_line, listed
from sedkit.core.files import read_bytes, read_json
from sedkit.dataio.events import Events
from sedkit.dataio.rows import Rows, check_text, header_line, parse_rows

COLUMNS = ("filename", "onset", "offset", "event_label")
#: A further column of tables of soft labels (MAESTRO Real; DCASE 2023 task 4 B, 2024 task 4).
CONFIDENCE = "confidence"
#: What Raven's users and programs that write its tables call the column of the class.
ANNOTATIONS = ("Annotation", "Species", "Label", "Common Name", "Species Code", "Tag", "Class")
_BEGIN, _END = "Begin Time (s)", "End Time (s)"
_LINE_END = re.compile(r"\r\n|\n|\r")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)? *\t", re.IGNORECASE)
_SOFT = re.compile(r"(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_SELECTIONS = re.compile(r"(\.Table\.\d+)?\.selections$", re.IGNORECASE)
#: Endings of files that a folder of them may hold, and what is none of them.
_ENDINGS, _OTHERS = (".txt", ".tsv", ".json"), ("labels.txt",)


@dataclass(frozen=True)
class Detected:
    """Events of recordings, and what is told with them.

    Attributes
    ----------
    events
        Of every recording, with or without events.
    durations_s
        Of each.
    highest_hz
        What is not lower was not listened to.
    lineage
        JSON-able: what they were made with.
    """

    events: Events
    durations_s: Sequence[float]
    highest_hz: float = 0.0
    lineage: Mapping[str, Any] = field(default_factory=dict)


class EventFormat(NamedTuple):
    """How events are written.

    Attributes
    ----------
    ending
        Of the files.
    lone
        A file is of one recording, which it does not name.
    text
        Returns what stands in the file.
    """

    ending: str
    lone: bool
    text: Callable[[Detected], str]


# ---------------------------------------------------------------------------------------------------- writing


def decimal_text(value: float, decimals: int = 3) -> str:
    """Write a number (seconds) with so many decimals, or with as many as are needed to read the same number back.

    >>> decimal_text(0.5), decimal_text(0.5, 2), decimal_text(0.125, 2)
    ('0.500', '0.50', '0.125')
    """
    text = f"{value:.{decimals}f}"
    return text if float(text) == value else repr(value)


def events_text(events: Events) -> str:
    """Return the challenge's table, soft labels as a fifth column; a clip without events has empty fields."""
    soft = None if events.confidence is None else iter(events.in_order().soft_labels.tolist())
    rows: list[tuple[str, ...]] = [COLUMNS if soft is None else (*COLUMNS, CONFIDENCE)]
    for name, onset, offset, label in events.rows():
        if label is None or onset is None or offset is None:
            rows.append((name, *("" for _ in rows[0][1:])))
        else:
            value = [] if soft is None else [decimal_text(next(soft))]
            rows.append((name, decimal_text(onset), decimal_text(offset), label, *value))
    return "".join("\t".join(row) + "\n" for row in rows)


def _json(detected: Detected) -> str:
    """Return what the events were made with and, by recording, duration and events."""
    recordings: dict[str, dict[str, Any]] = {
        name: {"filename": name, "duration_s": round(float(duration_s), 6), "events": []}
        for name, duration_s in zip(detected.events.filenames, detected.durations_s, strict=True)
    }
    for name, onset_s, offset_s, label in detected.events.rows():
        if label is not None and onset_s is not None and offset_s is not None:
            event = {"onset_s": round(onset_s, 6), "offset_s": round(offset_s, 6), "label": label}
            recordings[name]["events"].append(event)
    about = {**detected.lineage, "highest_hz": detected.highest_hz, "labels": list(detected.events.labels)}
    whole = {**about, "recordings": list(recordings.values())}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _audacity(detected: Detected) -> str:
    """Return the label track that Audacity imports: begin, end and label of each event, TAB separated."""
    rows = detected.events.rows()
    return "".join(f"{on:.6f}\t{off:.6f}\t{label}\n" for _, on, off, label in rows if label is not None)


def _raven(detected: Detected) -> str:
    """Return the selection table that Raven opens; a selection reaches from 0 Hz as high as was listened to."""
    header = ("Selection", "View", "Channel", _BEGIN, _END, "Low Freq (Hz)", "High Freq (Hz)", "Annotation")
    rows = [row for row in detected.events.rows() if row[3] is not None]
    band = f"0.0\t{detected.highest_hz:.1f}"
    lines = (
        f"{i}\tSpectrogram 1\t1\t{on:.6f}\t{off:.6f}\t{band}\t{label}" for i, (_, on, off, label) in enumerate(rows, 1)
    )
    return "\n".join(["\t".join(header), *lines]) + "\n"


#: By name, as `sedkit detect --format` takes it.
FORMATS: dict[str, EventFormat] = {
    "tsv": EventFormat(".tsv", False, lambda detected: events_text(detected.events)),
    "json": EventFormat(".json", False, _json),
    "audacity": EventFormat(".txt", True, _audacity),
    "raven": EventFormat(".Table.1.selections.txt", True, _raven),
}


# ---------------------------------------------------------------------------------------------------- reading


class _Cell(NamedTuple):
    """A row of a table to be: its line in the file, and its fields as they stand there."""

    line: int
    filename: str
    onset: str = ""
    offset: str = ""
    label: str = ""
    confidence: str = ""


def clip_of(path: str | os.PathLike[str]) -> str:
    """Return the recording that a label track or a selection table is of, without an audio ending.

    >>> clip_of("a/pond.Table.1.selections.txt"), clip_of("pond.txt")
    ('pond', 'pond')
    """
    return _SELECTIONS.sub("", Path(path).stem)


def label_files(folder: str | os.PathLike[str], clips: Container[str] | None = None) -> dict[str, Path]:
    """Return the files of events in a folder and below it, by the recording that each would be of.

    Parameters
    ----------
    clips
        Only those of these recordings, named without their endings; None: every one.

    Raises
    ------
    SedkitError
        There is none, or a recording has two.
    """
    files: dict[str, Path] = {}
    folder = Path(folder)
    for path in sorted(folder.rglob("*")):
        name = path.name.lower()
        if not name.endswith(_ENDINGS) or name.endswith(".done.json") or name in _OTHERS or name.startswith("."):
            continue
        if not path.is_file():
            continue
        clip = (path.parent.relative_to(folder) / clip_of(path)).as_posix()
        if clips is not None and clip not in clips:
            continue
        if clip in files:
            raise SedkitError(f"{path}: {clip} has the labels of {files[clip].name} too, expected one file a recording")
        files[clip] = path
    if not files:
        raise SedkitError(f"{folder}: holds no table of events ({listed(_ENDINGS)}), expected one a recording")
    return files


def read_detected(path: str | os.PathLike[str]) -> Detected:
    """Read a file that format `json` wrote."""
    whole = read_json(path)
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    recordings = whole.pop("recordings")
    for recording in recordings:
        rows.append((recording["filename"], None, None, None))
        rows += [(recording["filename"], e["onset_s"], e["offset_s"], e["label"]) for e in recording["events"]]
    events = Events.from_rows(rows, whole.pop("labels"), "detected events")
    return Detected(events, [recording["duration_s"] for recording in recordings], whole.pop("highest_hz"), whole)


def together(several: Sequence[Detected]) -> Detected:
    """Return the events of several recordings, of the same classes and made with the same, as one."""
    rows = [row for one in several for row in one.events.rows()]
    events = Events.from_rows(rows, several[0].events.labels, "detected events")
    return replace(several[0], events=events, durations_s=[s for one in several for s in one.durations_s])


def files_at(path: str | os.PathLike[str]) -> str | os.PathLike[str] | dict[str, Path]:
    """Return what is read of a path: itself or, of a folder, the files of events in it and below it."""
    return label_files(path) if os.path.isdir(path) else path


def is_table(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is read as a table with a header, and not as one of the other formats, or as a folder."""
    return not os.path.isdir(path) and _cells(str(path), read_bytes(path), "") is None


def label_rows(path: str | os.PathLike[str], clip: str | None = None) -> Rows | None:
    """Read a file in any format but the challenge's table as the rows of such a table; None where it is one.

    Parameters
    ----------
    path
        The file.
    clip
        The recording, of which an empty file says that it has no event; None takes the file's name.

    Raises
    ------
    SedkitError
        A line that cannot be parsed, a selection table without a column of classes.
    """
    source, data, name = str(path), read_bytes(path), clip_of(path) if clip is None else clip
    cells = [] if clip is not None and not data.strip() else _cells(source, data, name)
    if cells is None:
        return None
    cells = cells or [_Cell(1, name)]
    columns = (*COLUMNS, CONFIDENCE) if any(cell.confidence for cell in cells) else COLUMNS
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([columns, *(cell[1 : 1 + len(columns)] for cell in cells)])
    # Half characters, which JSON can name, are refused there as any bytes that are no UTF-8.
    encoded = text.getvalue().encode("utf-8", "surrogatepass")
    rows = parse_rows(source, encoded, columns, numbers=("onset", "offset", CONFIDENCE))
    if len(rows) != len(cells):
        raise SedkitError(f"{source}: {len(rows)} rows of {len(cells)} can be read, expected names without line ends")
    return replace(rows, line=np.array([cell.line for cell in cells], dtype=np.int64))


def _cells(source: str, data: bytes, clip: str) -> list[_Cell] | None:
    """Return the rows of a file by its content, or None where it is no format of these."""
    first = header_line(data)
    for starts, read in ((_starts_json, _of_json), (_starts_raven, _of_raven), (_starts_audacity, _of_audacity)):
        if starts(first):
            check_text(source, data)
            return read(source, _LINE_END.split(data.decode("utf-8-sig")), clip)
    return None


def _starts_json(line: str) -> bool:
    return line.lstrip()[:1] in ("{", "[")


def _starts_raven(line: str) -> bool:
    return {_BEGIN, _END} <= {name.strip() for name in line.split("\t")}


def _starts_audacity(line: str) -> bool:
    # A header begins with a name.
    return _NUMBER.match(line) is not None


def _of_audacity(source: str, lines: Sequence[str], clip: str) -> list[_Cell]:
    cells = []
    for number, line in enumerate(lines, 1):
        # The frequencies of a label stand in a line of their own.
        if not line.strip() or line.startswith("\\"):
            continue
        fields = line.split("\t")
        if len(fields) < 3 or not fields[2].strip():
            raise SedkitError(f"{source}:{number}: {line!r}, expected begin, end and label, separated by TABs")
        # MAESTRO Real has a soft label behind the class.
        soft = fields.pop().strip() if len(fields) == 4 and _SOFT.fullmatch(fields[3].strip()) else ""
        cells.append(_Cell(number, clip, fields[0], fields[1], "\t".join(fields[2:]).strip(), soft))
    return cells


def _of_raven(source: str, lines: Sequence[str], clip: str) -> list[_Cell]:
    at = next(i for i, line in enumerate(lines) if line.strip())
    names = [name.strip() for name in lines[at].split("\t")]
    column = next((name for name in ANNOTATIONS if name in names), None)
    if column is None:
        raise SedkitError(
            f"{source}:{at + 1}: no column of classes, expected one of {listed(ANNOTATIONS, 9)}; has {listed(names, 9)}"
        )
    cells: dict[str, tuple[bool, _Cell]] = {}
    files: dict[str, None] = {}
    for number, line in enumerate(lines[at + 1 :], at + 2):
        if not line.strip():
            continue
        row = dict(zip(names, line.split("\t"), strict=False))
        files.setdefault(row.get("Begin File", ""))
        if len(files) > 1:
            raise SedkitError(f"{source}:{number}: selections of {listed(files)}, expected those of one recording")
        # A selection stands once for each view that it is seen in.
        key, of_waveform = row.get("Selection") or str(number), row.get("View", "").startswith("Waveform")
        if key in cells and of_waveform:
            continue
        if key in cells and not cells[key][0]:
            key = f"{key} in line {number}"
        cell = _Cell(number, clip, row.get(_BEGIN, ""), row.get(_END, ""), row.get(column, "").strip())
        cells[key] = (of_waveform, cell)
    return [cell for _, cell in cells.values()]


def _of_json(source: str, lines: Sequence[str], clip: str) -> list[_Cell]:
    try:
        whole = json.loads("\n".join(lines))
        recordings = whole["recordings"]
        cells = []
        for recording in recordings:
            events = [(e["onset_s"], e["offset_s"], e["label"]) for e in recording["events"]] or [("", "", "")]
            cells += [_Cell(0, recording["filename"], *map(str, event)) for event in events]
    except json.JSONDecodeError as error:
        raise SedkitError(f"{source}:{error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, endless nesting.
        raise SedkitError(f"{source}: not valid JSON ({first_line(error)})") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise SedkitError(
            f"{source}: not what `sedkit detect --format json` writes (lacks {error}), expected recordings, each with "
            "filename and events of onset_s, offset_s and label"
        ) from None
    # Where an event stands in its text nobody tells: rows count the events.
    return [cell._replace(line=i) for i, cell in enumerate(cells, 1)]
