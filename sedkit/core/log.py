"""Messages for people, on stderr; results go to stdout."""

from __future__ import annotations

import logging
import sys

log = logging.getLogger("sedkit")


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at the time, past a progress bar if one is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        bars = sys.modules.get("tqdm")
        if bars is not None and sys.stderr.isatty():
            bars.tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def start_logging() -> None:
    """Send the messages of sedkit to stderr; called by the command line, never by the library."""
    if not log.handlers:
        handler = _Stderr()
        handler.setFormatter(_Plain())
        log.addHandler(handler)
        log.propagate = False
    log.setLevel(logging.INFO)
