"""Many small files from a few servers: side by side, but few at a time, and again where it failed.

What is there is kept: a run that was killed, or that failed in part, goes on where it was. Servers that say that they
are busy are left alone for as long as they ask, and one that fails again and again is left alone until the next round,
which begins with what was not asked for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from impasto.data.small import NotReceivedError, receive
from impasto.errors import ImpastoError
from impasto.io import atomic, read_csv, write_csv
from impasto.progress import notice, track

PER_HOST = 2
"""Connections to one server at a time."""

ROUNDS = 4
"""How often each file is asked for at most."""

PATIENCE = 20
"""Failures in a row after which a server is not asked again in a round."""

LONGEST = 600.0
"""Seconds that a server may ask to be left alone; one that asks for more counts as failing."""

FAILED = "failed.csv"
"""The list of what could not be had, in the folder of the files."""

_NOT_ASKED = "not asked for"  # how the reason begins of what a server was not asked for any more
_PAUSE = 5.0  # seconds before the next round, and for a busy server that says none; doubled each time
_TOLD = 3  # failures that a message names

Check = Callable[[bytes], str | None]


@dataclass(frozen=True)
class Failure:
    """A file that was not received."""

    name: str
    url: str
    reason: str


def collect(urls: Mapping[str, str], folder: Path, check: Check) -> None:
    """Have every file in ``folder``; those that are there are taken as they are.

    Args:
        urls: where each file is, by its name on disk.
        folder: where they go; each gets its name after it was received whole and checked.
        check: says of a content what is wrong with it, None if nothing is.

    Raises:
        ImpastoError: after all rounds some files are missing. All of them stand in :data:`FAILED`, with address and
            reason; what was received stays. Or another process is at it, or an address is none of the web.
    """
    for name, url in urls.items():
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ImpastoError(f"{name} has no web address, but {url!r}", where=str(folder), remedy="Correct the list.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _collect(urls, folder, check)
    except Timeout as error:
        remedy = "Wait for it, then run the command again."
        raise ImpastoError(f"another process is downloading to {folder}", where=str(folder), remedy=remedy) from error


def _collect(urls: Mapping[str, str], folder: Path, check: Check) -> None:
    for left in folder.glob(".*.part"):  # of a killed run
        left.unlink()
    failures = _earlier(folder)
    for number in range(ROUNDS):
        missing = _missing(urls, folder, failures)
        if not missing:
            failures = []
            break
        if number:
            pause = _PAUSE * 2 ** (number - 1)
            notice(f"{_listed(failures)}; round {number + 1} of {ROUNDS} in {pause:.0f} s")
            time.sleep(pause)
        failures = _Round(missing, len(urls), folder, check).run()
        write_csv(folder / FAILED, ("name", "url", "reason"), map(vars, failures))
    if failures:
        remedy = f"Run the command again for these alone, or put the files into {folder} yourself."
        what = f"after {ROUNDS} rounds {_listed(failures)} and {len(urls) - len(failures):,} are there; all that failed"
        raise ImpastoError(f"{what} stand in {folder / FAILED}", where="download", remedy=remedy)
    (folder / FAILED).unlink(missing_ok=True)


def _missing(urls: Mapping[str, str], folder: Path, failures: list[Failure]) -> dict[str, str]:
    """What is not there, first what was not asked for: behind many that fail always it would never have its turn."""
    tried = {one.name for one in failures if not one.reason.startswith(_NOT_ASKED)}
    missing = {name: url for name, url in urls.items() if not (folder / name).exists()}
    return dict(sorted(missing.items(), key=lambda item: item[0] in tried))  # stable: else in their order


def _earlier(folder: Path) -> list[Failure]:
    """The failures of the last run, if it left any."""
    rows = read_csv(folder / FAILED) if (folder / FAILED).is_file() else []
    return [Failure(*(row.get(name) or "" for name in ("name", "url", "reason"))) for row in rows]


def _listed(failures: list[Failure]) -> str:
    told = "; ".join(f"{one.name} from {one.url}: {one.reason}" for one in failures[:_TOLD])
    return f"{len(failures):,} files failed ({told}{'; ...' if len(failures) > _TOLD else ''})"


class _Server:
    """What is known of one server in a round: what it is still to give, when it may be asked, how it fares."""

    def __init__(self, host: str) -> None:
        self.host, self.jobs = host, queue.SimpleQueue[tuple[str, str]]()
        self._lock, self._streak, self._busy, self._until = threading.Lock(), 0, 0, 0.0
        self._last = ""

    def answered(self) -> None:
        with self._lock:
            self._streak = self._busy = 0

    def failed(self, error: NotReceivedError) -> None:
        with self._lock:
            self._streak, self._last = self._streak + 1, str(error)
            if error.wait is None:
                return
            pause = error.wait or _PAUSE * 2**self._busy
            self._busy += 1
            if pause > LONGEST:
                self._streak = PATIENCE
            else:
                self._until = max(self._until, time.monotonic() + pause)

    def refused(self) -> str | None:
        """Why it is not asked again in this round."""
        with self._lock:
            tried = f"{self.host} failed {self._streak} times in a row, at last: {self._last}"
            return f"{_NOT_ASKED}: {tried}" if self._streak >= PATIENCE else None

    def rest(self) -> float:
        """Seconds until it may be asked."""
        with self._lock:
            return max(0.0, self._until - time.monotonic())


class _Round:
    """Every missing file is asked for once."""

    def __init__(self, missing: Mapping[str, str], total: int, folder: Path, check: Check) -> None:
        self._folder, self._check, self._total, self._missing = folder, check, total, missing
        self._done: queue.SimpleQueue[Failure | BaseException | None] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def run(self) -> list[Failure]:
        servers: dict[str, _Server] = {}
        for name, url in self._missing.items():
            host = urlsplit(url).netloc
            servers.setdefault(host, _Server(host)).jobs.put((name, url))
        for server in servers.values():
            for _ in range(PER_HOST):  # daemons: an interrupted run does not wait for slow answers
                threading.Thread(target=self._work, args=(server,), daemon=True).start()
        try:
            return self._gather()
        finally:
            self._stopped.set()

    def _gather(self) -> list[Failure]:
        failures: list[Failure] = []
        here = self._total - len(self._missing)
        with closing(_ticks(self._total, here)) as ticks:
            for _ in ticks:
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                failures += [found] if found else []
        return sorted(failures, key=lambda one: one.name)

    def _work(self, server: _Server) -> None:
        while not self._stopped.is_set():
            try:
                name, url = server.jobs.get_nowait()
            except queue.Empty:
                return
            try:
                self._done.put(self._one(server, name, url))
            except BaseException as error:  # told where it can be: a full disk, above all
                self._done.put(error)
                return

    def _one(self, server: _Server, name: str, url: str) -> Failure | None:
        while (pause := server.rest()) and not self._stopped.wait(pause):
            pass
        if reason := server.refused():
            return Failure(name, url, reason)
        try:
            content = receive(url)
            if fault := self._check(content):
                raise NotReceivedError(fault)
        except NotReceivedError as error:
            server.failed(error)
            return Failure(name, url, str(error))
        server.answered()
        with atomic(self._folder / name) as part:
            part.write_bytes(content)
        return None


def _ticks(total: int, start: int) -> Generator[int]:
    yield from track(total, "download images", "images", start)
