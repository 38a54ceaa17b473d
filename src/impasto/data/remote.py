"""Files from the network: from the first mirror that works, resumed where a connection broke, checked before use."""

from __future__ import annotations

import importlib.metadata
import re
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import requests
from filelock import FileLock, Timeout

from impasto.data.checked import fault_of
from impasto.errors import ImpastoError
from impasto.progress import notice, track

TRIES = 5
"""Attempts on one mirror without a single new byte."""

_CHUNK = 1 << 16  # bytes; what a broken connection can cost
_MB = 1 << 20
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
_PAUSE = 1.0  # seconds before the next attempt, doubled with each one without progress
REASONS = {
    "ConnectionError": "no connection",
    "ConnectTimeout": "no answer",
    "ReadTimeout": "no answer",
    "ChunkedEncodingError": "the connection ended early",
}  # what requests raises, in words; other names say enough
_BUSY = frozenset({408, 429, 500, 502, 503, 504})  # status codes that may be others in a moment


@dataclass(frozen=True)
class Remote:
    """One file and where it is to be had.

    Attributes:
        name: its name on disk.
        urls: mirrors, tried in this order.
        size: bytes; None where it is not known beforehand.
        md5: checksum, 32 hex digits; None where none is published.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    md5: str | None = None


class _MirrorError(Exception):
    """Why a mirror cannot give the file."""


class _BrokenError(Exception):
    """Why one attempt failed where the next one may not."""


def own_headers() -> dict[str, str]:
    """What every request tells of itself: content as it is, and who asks."""
    return {"Accept-Encoding": "identity", "User-Agent": f"impasto/{importlib.metadata.version('impasto')}"}


def download(remote: Remote, folder: Path) -> Path:
    """Have a file in ``folder``: it is taken as it is if it is there and right, and downloaded if it is not there.

    Bytes go to ``.NAME.part``, which a later run continues; the file gets its name after its size and checksum were
    found right.

    Returns:
        The path of the file.

    Raises:
        ImpastoError: no mirror gives the right file (all reasons are told), another process is downloading it, or
            the file that is there is a wrong one.
    """
    path, part = folder / remote.name, folder / f".{remote.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # the file stays: who opened it before it is removed would lock what nobody else sees
        with FileLock(folder / f".{remote.name}.lock", timeout=0):
            if not path.exists():
                _from_mirrors(remote, part)
                part.replace(path)
                return path
    except Timeout as error:
        remedy = "Wait for it, then run the command again."
        raise ImpastoError(f"another process is downloading {path}", where=str(folder), remedy=remedy) from error
    if fault := fault_of(path, remote.size, remote.md5):
        remedy = "Delete it and run the command again to download it anew."
        raise ImpastoError(f"{path} {fault}", where=str(folder), remedy=remedy)
    return path


def _from_mirrors(remote: Remote, part: Path) -> None:
    faults = []
    for url in remote.urls:
        try:
            return _obtain(url, part, remote)
        except _MirrorError as error:
            faults.append(f"{url}: {error}")
    raise ImpastoError(
        f"{remote.name} cannot be downloaded: {'; '.join(faults)}",
        where="download",
        remedy=f"Run the command again to go on, or put the file into {part.parent} yourself.",
    )


def _obtain(url: str, part: Path, remote: Remote) -> None:
    """Complete ``part`` from one mirror and check it; a wrong one is deleted."""
    inherited = part.exists()
    _complete(url, part, remote)
    fault = fault_of(part, remote.size, remote.md5, remember=False)
    if fault and inherited:  # the fault may lie in what an earlier run or another mirror had left
        part.unlink()
        _complete(url, part, remote)
        fault = fault_of(part, remote.size, remote.md5, remember=False)
    if fault:
        part.unlink()
        raise _MirrorError(f"the file {fault}")


def _complete(url: str, part: Path, remote: Remote) -> None:
    """Receive until nothing is missing, connecting anew as often as there is progress."""
    tries = 0
    while True:
        before = _length(part)
        try:
            return _receive(url, part, remote)
        except _BrokenError as error:
            reason = str(error)
        except requests.RequestException as error:
            reason = REASONS.get(type(error).__name__, type(error).__name__)
        tries = 0 if _length(part) > before else tries + 1
        if tries >= TRIES:
            raise _MirrorError(f"{reason} after {_length(part):,} bytes, {TRIES} attempts")
        pause, place = _PAUSE * 2**tries, f"attempt {tries + 1} of {TRIES}" if tries else "goes on"
        notice(f"{remote.name}: {reason} after {_length(part):,} bytes of {url}; {place} in {pause:.0f} s")
        time.sleep(pause)


def _receive(url: str, part: Path, remote: Remote) -> None:
    """One request for what is missing; returns when the server says that this was all."""
    start = _length(part)
    if start and start == remote.size:
        return
    if remote.size is not None and start > remote.size:
        part.unlink()
        start = 0
    headers = own_headers() | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == 416:  # nothing lies beyond: all is here, or what is here is of another file
            if response.headers.get("Content-Range") != f"bytes */{start}":
                part.unlink()
                raise _BrokenError("no such range")
            return
        if not response.ok:
            raise (_BrokenError if response.status_code in _BUSY else _MirrorError)(f"HTTP {response.status_code}")
        first, total = _extent(response)
        if first > start or (None not in (total, remote.size) and total != remote.size):
            raise _MirrorError(f"offers {total} bytes from {first}, expected {remote.size} from {start}")
        _append(response, part, first, remote.size if total is None else total, remote.name)


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """(offset of the first byte that the server sends, length of the whole file if it tells)."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match:
            raise _MirrorError("a part of the file without its place")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length")  # 200: a server without ranges sends all
    return 0, int(length) if length else None


def _append(response: requests.Response, part: Path, first: int, total: int | None, label: str) -> None:
    done = first
    steps = -(-total // _MB) if total else 0
    with part.open("r+b" if part.exists() else "wb") as file, closing(_ticks(steps, label, first // _MB)) as ticks:
        file.seek(first)
        file.truncate()
        next(ticks, None)
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            for _ in range((done + len(chunk)) // _MB - done // _MB):
                next(ticks, None)
            done += len(chunk)
        next(ticks, None)
    if total is not None and done < total:
        raise _BrokenError("the connection ended early")


def _ticks(steps: int, label: str, start: int) -> Generator[int]:
    yield from track(steps, label, "MB", start)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
