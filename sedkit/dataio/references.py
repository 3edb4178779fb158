"""Recognise the official ground truths by their content, whatever the order of rows or the line ends."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path
from sedkit.dataio.events import Events


@dataclass(frozen=True)
class KnownReference:
    """An official ground truth: its fixed name, what it is, and the release that took its place (or None)."""

    name: str
    title: str
    outdated_by: str | None = None


def content_hash(events: Events) -> str:
    """Hash the sorted distinct rows of a table, clips without events included, and the number of repeated rows.

    Times count to the microsecond: copies of one release differ in the last digits (5.418 and 5.417999999999999),
    written by a lossy text conversion; annotations have milliseconds.
    """
    rows = Counter(
        (events.filenames[c], f"{on:.6f}", f"{off:.6f}", events.labels[k])
        for c, on, off, k in zip(
            events.clip.tolist(), events.onset_s.tolist(), events.offset_s.tolist(), events.label.tolist(), strict=True
        )
    )
    with_events = set(events.clip.tolist())
    lines = ["\t".join(row) for row in rows]
    lines += [f"{name}\t\t\t" for i, name in enumerate(events.filenames) if i not in with_events]
    repeated = sum(rows.values()) - len(rows)
    text = "\n".join(sorted(lines)) + f"\nrepeated {repeated}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def known_reference(sha256: str) -> KnownReference | None:
    """Return the official ground truth with this content hash, or None."""
    return _known().get(sha256)


@lru_cache(maxsize=1)
def _known() -> dict[str, KnownReference]:
    entries: list[dict[str, Any]] = read_yaml(metadata_path("references.yaml"))["references"]
    return {e["sha256"]: KnownReference(e["name"], e["title"], e.get("outdated_by")) for e in entries}
