"""Servers of other packages on 127.0.0.1, as processes of their own, for tests that need the real thing."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError


def free_port() -> int:
    """A port on which nothing listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A command that serves on a port of this machine, which can be killed and started again.

    Args:
        words: the command, its port included.
        port: where it will answer.
        path: what it answers once it is ready.
        environment: of the process.
        log: a file to which it writes what it says.
    """

    def __init__(self, words: Sequence[str], port: int, path: str, environment: Mapping[str, str], log: Path) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._words, self._path, self._environment, self._log = words, path, dict(environment), log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 120) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            if self.answers():
                return
            time.sleep(0.2)
        raise AssertionError(self._log.read_text()[-3000:])

    def answers(self) -> bool:
        """Whether it speaks HTTP."""
        try:
            urllib.request.urlopen(f"{self.uri}{self._path}", timeout=1).close()
        except HTTPError as error:
            return error.code < 500
        except OSError:
            return False
        return True

    def end(self, number: int) -> None:
        """Send a signal to it and to the processes that it started, and wait for its end."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)
            self._process.wait(30)
