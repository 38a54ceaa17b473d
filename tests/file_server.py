"""A web server on this machine, with the faults of real ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Web:
    """What the server gives, and what it was asked.

    Attributes:
        address: without a slash at the end.
        files: content by path.
        drops: for a path, after how many bytes of the file each of the next answers breaks off.
        faults: for a path, the status codes of the next answers.
        without_ranges: paths for which the header Range is ignored.
        without_length: paths whose length is not told.
        asked: (path, header Range) of every request.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    drops: dict[str, list[int]] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    without_ranges: set[str] = field(default_factory=set)
    without_length: set[str] = field(default_factory=set)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One GET."""
        path, wanted = request.path, request.headers.get("Range")
        self.asked.append((path, wanted))
        body = self.files.get(path)
        if self.faults.get(path) or body is None:
            request.send_error(self.faults[path].pop(0) if self.faults.get(path) else 404)
            return
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and path not in self.without_ranges else 0
        if start >= len(body) > 0:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(body)}")
            request.end_headers()
            return
        ranged = wanted is not None and path not in self.without_ranges
        request.send_response(206 if ranged else 200)
        if ranged:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if path not in self.without_length:
            request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        end = self.drops[path].pop(0) if self.drops.get(path) else len(body)
        request.wfile.write(body[start:end])


@contextmanager
def serve() -> Iterator[Web]:
    """Serve until the block ends."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
