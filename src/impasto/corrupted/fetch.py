"""Published corrupted sets, downloaded and unpacked once."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from impasto.corrupted import manifest
from impasto.corrupted.published import RECORD, Published, unpacked
from impasto.data.archive import unpack
from impasto.data.remote import download
from impasto.errors import ImpastoError
from impasto.io import write_json


def fetch(published: Published, to: Path) -> Path:
    """Have a published set under ``to``; what is there already is not downloaded again.

    An archive that somebody put into ``to`` by hand is checked and used like a downloaded one. Archives are kept.

    Returns:
        The folder of the set, e.g. ``to/CIFAR-10-C``.

    Raises:
        ImpastoError: an archive cannot be had, or is a wrong or damaged one, a set that impasto made is in the way, or
            another process fetches the same set.
    """
    root = to / published.folder
    to.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(to / f".{root.name}.lock", timeout=0):  # until it is recorded: unpacking takes minutes
            _complete(published, root)
    except Timeout as error:
        remedy = "Wait for it, then run the command again."
        raise ImpastoError(f"another process fetches {root}", where=str(to), remedy=remedy) from error
    return root


def _complete(published: Published, root: Path) -> None:
    to = root.parent
    if manifest.load(root):
        remedy = "Name another folder with --to, or rename that one."
        raise ImpastoError(f"{root} holds a set that impasto made", where=str(to), remedy=remedy)
    for archive in published.archives:
        done = unpacked(root)
        if done.get(archive.name) != archive.md5:
            unpack(download(archive, to), root)
            write_json(root / RECORD, done | {archive.name: archive.md5})
