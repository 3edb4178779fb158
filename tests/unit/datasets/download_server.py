"""A server of files on this machine that can break off, change its files, ignore ranges, and lie."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Changes status, headers and body of an answer.
Lie = Callable[[int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


class Server:
    """Files by name, how it misbehaves, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: list[int] = []  # bytes after which the next answers break off
        self.ranges = True
        self.fail: list[int] = []  # statuses of the next answers
        self.lies: list[Lie | None] = []  # of the next answers
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: Any) -> None:
        name, asked = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, asked))
        status = self.fail.pop(0) if self.fail else 200 if name in self.files else 404
        data = self.files.get(name, b"") if status == 200 else b""
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        start, headers = 0, {}
        if asked and self.ranges and request.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(data) else 416
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if status in (200, 206):
            headers["ETag"] = etag
        body = data[start:]
        headers["Content-Length"] = str(len(body))
        lie = self.lies.pop(0) if self.lies else None
        if lie is not None:
            status, headers, body = lie(status, headers, body)
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        request.end_headers()
        # Where as much as was said cannot come, the end of the connection is the end of the answer.
        short = not 0 <= int(headers.get("Content-Length", -1)) <= len(body)
        if self.break_after and status in (200, 206):
            body, short = body[: self.break_after.pop(0)], True
        request.wfile.write(body)
        request.wfile.flush()
        if short:
            request.close_connection = True
            request.connection.shutdown(1)
