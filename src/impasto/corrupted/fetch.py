"""Published corrupted sets, downloaded and unpacked once."""

from __future__ import annotations

from pathlib import Path

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
        ImpastoError: an archive cannot be had, or is a wrong or damaged one, or a set that impasto made is in the way.
    """
    root = to / published.folder
    if manifest.load(root):
        remedy = "Name another folder with --to, or rename that one."
        raise ImpastoError(f"{root} holds a set that impasto made", where=str(to), remedy=remedy)
    for archive in published.archives:
        done = unpacked(root)
        if done.get(archive.name) != archive.md5:
            unpack(download(archive, to), root)
            write_json(root / RECORD, done | {archive.name: archive.md5})
    return root
