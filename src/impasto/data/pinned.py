"""Files without a published checksum: their size and SHA-256 are written down once and held against them after."""

from __future__ import annotations

from pathlib import Path

from impasto.data.checked import sha256_of
from impasto.errors import ImpastoError
from impasto.io import read_json, write_json


def pin_of(file: Path) -> Path:
    """Where the size and the SHA-256 of a file are kept: ``NAME.pin.json`` beside it."""
    return file.with_name(f"{file.name}.pin.json")


def hold(file: Path) -> None:
    """Hold a file against its pin; a file that has none is pinned as it is.

    A team that shares the pin shares the proof that all have the same file. The whole file is read: about 10 seconds
    for 3 GB.

    Raises:
        ImpastoError: the file is another one than when it was pinned; names both checksums.
    """
    pin, size = pin_of(file), file.stat().st_size
    if not pin.exists():
        write_json(pin, {"size": size, "sha256": sha256_of(file)})
        return
    wanted = _read(pin)
    found = {"size": size, "sha256": sha256_of(file) if size == wanted["size"] else None}
    if found != wanted:
        told = f"has sha256 {found['sha256']}" if found["sha256"] else f"has {size:,} bytes"
        remedy = f"Fetch the file again, or delete {pin.name} to take it as it is."
        what = f"{file} {told}, but {pin.name} says {wanted['size']:,} bytes, sha256 {wanted['sha256']}"
        raise ImpastoError(what, where=str(file.parent), remedy=remedy)


def _read(pin: Path) -> dict[str, int | str]:
    match read_json(pin):
        case {"size": int(size), "sha256": str(sha256), **rest} if not rest:
            return {"size": size, "sha256": sha256}
    remedy = "Delete it to take the file as it is."
    raise ImpastoError(f"{pin} holds no size and sha256", where=str(pin.parent), remedy=remedy)
