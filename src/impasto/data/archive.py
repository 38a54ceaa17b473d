"""Tar archives, unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from impasto.data.members import archive_fault
from impasto.errors import ImpastoError

Filter = Callable[[tarfile.TarInfo, str], tarfile.TarInfo | None]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, compressed or not, into ``folder``.

    A single folder that holds all the rest is left out: its content goes to ``folder``. Everything is unpacked beside
    ``folder`` first and moved there entry by entry; what has the same name is replaced, what else lies there stays.

    Raises:
        ImpastoError: the archive is damaged or truncated, a member or a link in it leads outside, is absolute or is a
            device, or it does not fit on the disk. ``folder`` is as it was.
    """
    if not hasattr(tarfile, "data_filter"):
        remedy = "Use Python 3.11.4 or newer."
        raise ImpastoError("this Python cannot unpack archives safely", where="tarfile", remedy=remedy)
    aside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)  # left by a killed run
    aside.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(aside, filter=_inside(shutil.disk_usage(aside).free))
        folder.mkdir(exist_ok=True)
        for entry in sorted(_content(aside).iterdir()):
            _move(entry, folder / entry.name)
    except Exception as error:  # of damage, anything
        remedy = "Delete it and fetch it again; if the disk is full, free some space."
        told = f"{archive} cannot be unpacked: {archive_fault(error, archive)}"
        raise ImpastoError(told, where=str(archive), remedy=remedy) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _inside(free: int) -> Filter:
    """The standard library's ``data`` filter, which refuses what leads outside, without its leniences."""
    left = free

    def check(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        nonlocal left
        left -= member.size
        if left < 0:
            raise tarfile.TarError(f"its content needs more than the {free:,} free bytes")
        if member.name.startswith("/"):  # the filter would cut the slash off
            raise tarfile.AbsolutePathError(member)
        return tarfile.data_filter(member, path)

    return check


def _content(aside: Path) -> Path:
    entries = list(aside.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else aside


def _move(entry: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    entry.replace(target)
