"""Files in an official layout that need not be the published ones: only what the user names, and named for what it is.

``dataset.published: false`` asks for them. Nothing is searched for or downloaded, and no file is written beside them.
What is read says so in the images' source, with the SHA-256, or carries the published name if it has its checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from impasto.data.checked import fault_of, sha256_of
from impasto.data.remote import Remote
from impasto.errors import ImpastoError


@dataclass(frozen=True)
class Identity:
    """What was read.

    Attributes:
        name: of the archive or of the folder.
        sha256: 64 hex digits; of a folder, that of the list which `sha256sum` prints for the files that were read,
            by their names in the folder, sorted.
        published: whether it has the published checksum, or each file of the folder has its own.
    """

    name: str
    sha256: str
    published: bool

    def other(self, train: int, test: int) -> str | None:
        """In words, for the images' source and for the user; None where the files are the published ones.

        Args:
            train: number of training images.
            test: number of test images.
        """
        if self.published:
            return None
        told = f"not the published archive: {self.name}, sha256 {self.sha256}"
        return f"{told}, {train:,} training and {test:,} test images"


def identify_file(file: Path, remote: Remote) -> Identity:
    """Read an archive once more for its SHA-256, and compare it with the published size and MD5."""
    known = remote.md5 is not None and fault_of(file, remote.size, remote.md5, remember=False) is None
    return Identity(file.name, sha256_of(file), known)


def identify_folder(folder: Path, files: Iterable[tuple[str, bytes]], published: bool) -> Identity:
    """The identity of an unpacked folder.

    Args:
        folder: where it is.
        files: name in the folder and content of each file that is read.
        published: whether they all have their published checksums.
    """
    lines = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in files)
    listed = "".join(f"{sha256}  {name}\n" for name, sha256 in lines)
    return Identity(folder.name, hashlib.sha256(listed.encode()).hexdigest(), published)


def require_layout(place: Path, member: str) -> None:
    """See that ``place`` is a file, or an unpacked folder itself: one that holds ``member``.

    Raises:
        ImpastoError: it is neither; a folder that holds an archive or an unpacked folder is not searched.
    """
    if not place.is_file() and not (place / member).is_file():
        what = f"{place} {'is no archive and holds no ' + member if place.exists() else 'does not exist'}"
        remedy = "Name the archive or the unpacked folder itself; with dataset.published true, the archive's folder."
        raise ImpastoError(what, where="dataset.root", remedy=remedy)


@contextmanager
def faults(own: bool) -> Iterator[None]:
    """Nobody is told to delete a file of theirs: a fault of ``own`` files gets another remedy."""
    try:
        yield
    except ImpastoError as error:
        if not own or error.where == "dataset.root":
            raise
        remedy = "Correct it, or name another archive or folder."
        raise ImpastoError(error.what, where="dataset.root", remedy=remedy) from error
