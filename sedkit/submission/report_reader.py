"""Reads a PDF within limits, as a process of its own: whatever its bytes do to the reader, the caller goes on.

A script, not a module to import: `technical_report` runs it by its path with the processor time in seconds, gives it
the PDF on its standard input and takes the lines that it prints. Memory and processor time are limited by the system;
where the PDF cannot be read, or not within the limits, the process ends with an error, and what it printed before that
stands.
"""

from __future__ import annotations

import io
import json
import logging
import resource
import sys
from collections.abc import Iterator
from typing import Any

#: Memory of the whole process: a report of five pages takes a tenth of it.
_MOST_BYTES = 300 << 20

#: Pages whose text is read, and letters.
_MOST_PAGES = 8
_MOST_TEXT = 200_000


def read_pdf(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield what is known of a PDF, step by step.

    That is whether it is ``encrypted``, whether it is ``locked`` by a password, how many ``pages``, the ``text`` of
    the first ones, and ``pictures``: whether there is more than text can tell.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            yield {"encrypted": True}
            # Most are locked against changes alone, which takes no password to read.
            if not reader.decrypt(""):
                yield {"locked": True}
                return
    except DependencyError:
        # AES takes a package of its own, which nothing else here needs.
        yield {"encrypted": True}
        return
    yield {"pages": len(reader.pages)}
    text, pictures = "", False
    for page in reader.pages[:_MOST_PAGES]:
        text += f"{page.extract_text()}\n"
        pictures |= any(drawn["/Subtype"] == "/Image" for drawn in _drawn(page))
        if len(text) > _MOST_TEXT:
            break
    yield {"text": text[:_MOST_TEXT], "pictures": pictures}


def _drawn(page: Any) -> Iterator[Any]:
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources is not None else None
    for item in objects.get_object().values() if objects is not None else ():
        yield item.get_object()


if __name__ == "__main__":
    logging.disable()
    most_s = int(sys.argv[1])
    for limit, most in (
        (resource.RLIMIT_AS, _MOST_BYTES),
        (resource.RLIMIT_CPU, most_s),
        # Ended for its time, a process would leave its memory on the disk.
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    for known in read_pdf(sys.stdin.buffer.read()):
        print(json.dumps(known), flush=True)
