"""Files without a published checksum: their size and SHA-256 are written down once and held against them after.

:func:`verify` before a file is read, :func:`pin` after its content has been found to be what it should be: a web page
that came in the place of a file would be pinned otherwise, and the right file refused.
"""

from __future__ import annotations

from pathlib import Path

from impasto.data.checked import sha256_of
from impasto.errors import ImpastoError
from impasto.io import read_json, write_json


def pin_of(file: Path) -> Path:
    """Where the size and the SHA-256 of a file are kept: ``NAME.pin.json`` beside it."""
    return file.with_name(f"{file.name}.pin.json")


def pin(file: Path) -> None:
    """Pin a file as it is, if it has no pin: only after its content was checked.

    A team that shares the pin shares the proof that all have the same file. The whole file is read: about 10 seconds
    for 3 GB.
    """
    if not pin_of(file).exists():
        write_json(pin_of(file), {"size": file.stat().st_size, "sha256": sha256_of(file)})


def verify(file: Path) -> None:
    """Hold a file against its pin, if it has one; the whole file is read.

    Raises:
        ImpastoError: the file is another one than when it was pinned; names both checksums.
    """
    known, size = pin_of(file), file.stat().st_size
    if not known.exists():
        return
    wanted = _read(known)
    found = {"size": size, "sha256": sha256_of(file) if size == wanted["size"] else None}
    if found != wanted:
        told = f"has sha256 {found['sha256']}" if found["sha256"] else f"has {size:,} bytes"
        remedy = f"Fetch the file again, or delete {known.name} to take it as it is."
        what = f"{file} {told}, but {known.name} says {wanted['size']:,} bytes, sha256 {wanted['sha256']}"
        raise ImpastoError(what, where=str(file.parent), remedy=remedy)


def _read(pin: Path) -> dict[str, int | str]:
    match read_json(pin):
        case {"size": int(size), "sha256": str(sha256), **rest} if not rest:
            return {"size": size, "sha256": sha256}
    remedy = "Delete it to take the file as it is."
    raise ImpastoError(f"{pin} holds no size and sha256", where=str(pin.parent), remedy=remedy)
