"""Checksums of files; MD5 is remembered in the file's folder until the file changes."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.io import read_json, write_json

LEDGER = ".impasto-md5.json"


def md5_of(path: Path, remember: bool = True) -> str:
    """The MD5 of a file, 32 hex digits.

    Computed once for each (path, size, time of change); :data:`LEDGER` beside the file keeps it, where the folder
    can be written and ``remember`` is set.

    Raises:
        OSError: the file cannot be read.
    """
    ledger, facts = path.parent / LEDGER, path.stat()
    state = [facts.st_size, facts.st_mtime_ns]
    match _read(ledger).get(path.name):
        case [int(size), int(changed), str(known)] if [size, changed] == state:
            return known
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if remember:
        with suppress(ImpastoError):  # a folder that others share may be read-only
            write_json(ledger, _read(ledger) | {path.name: [*state, found]})
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(path: Path, size: int | None, md5: str | None, remember: bool = True) -> str | None:
    """What is wrong with a file, in words that hold what was expected and what was found; None if nothing is.

    Args:
        path: an existing file.
        size: bytes that it must have; None: any number.
        md5: checksum that it must have; None: any.
        remember: whether the checksum is kept (see :func:`md5_of`).
    """
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found:,} bytes, expected {size:,}"
    if md5 is not None and (checksum := md5_of(path, remember)) != md5:
        return f"has md5 {checksum}, expected {md5}"
    return None


def _read(ledger: Path) -> dict[str, object]:
    try:
        found = read_json(ledger)
    except (ImpastoError, OSError):
        return {}
    return found if isinstance(found, dict) else {}
