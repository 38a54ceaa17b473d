"""A web server on this machine, with the faults of real ones."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        retry_after: for a path, the header of that name in its faults.
        stalls: for a path, seconds before the body of each of the next answers.
        pause: seconds that every answer takes.
        without_ranges: paths for which the header Range is ignored.
        without_length: paths whose length is not told.
        asked: (path, header Range) of every request.
        asked_at: when each came, s on a clock that only runs forward.
        most: the most requests that waited for their answer at a time.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    drops: dict[str, list[int]] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    retry_after: dict[str, str] = field(default_factory=dict)
    stalls: dict[str, list[float]] = field(default_factory=dict)
    pause: float = 0.0
    without_ranges: set[str] = field(default_factory=set)
    without_length: set[str] = field(default_factory=set)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def _linger(self) -> None:
        """Count the requests that wait at a time, before any answer: who asked cannot have come back yet."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.pause)
        with self._lock:
            self._now -= 1

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One GET."""
        path, wanted = request.path, request.headers.get("Range")
        self.asked.append((path, wanted))
        self.asked_at.append(time.monotonic())
        self._linger()
        body = self.files.get(path)
        if self.faults.get(path) or body is None:
            self._refuse(request, self.faults[path].pop(0) if self.faults.get(path) else 404)
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
        if self.stalls.get(path):
            time.sleep(self.stalls[path].pop(0))
        end = self.drops[path].pop(0) if self.drops.get(path) else len(body)
        request.wfile.write(body[start:end])

    def _refuse(self, request: BaseHTTPRequestHandler, status: int) -> None:
        if request.path not in self.retry_after:
            request.send_error(status)
            return
        request.send_response(status)
        request.send_header("Retry-After", self.retry_after[request.path])
        request.send_header("Content-Length", "0")
        request.end_headers()


@contextmanager
def serve() -> Iterator[Web]:
    """Serve until the block ends."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # who asked may be gone
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
