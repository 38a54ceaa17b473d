"""Members of archives, packed or not, read into memory: nothing is unpacked, so no name in one leads anywhere."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.io import one_line, reason

LIMIT = 64 << 20
"""Bytes, the largest member that is read."""


def read_tar(archive: Path, names: Sequence[str], limit: int = LIMIT) -> dict[str, bytes]:
    """Some members of a tar archive, compressed or not, in one pass that ends with the last of them.

    Args:
        archive: the file.
        names: the members that are wanted, as they are called in the archive.
        limit: bytes that a member may have.

    Returns:
        Content by name, in the order of the archive.

    Raises:
        ImpastoError: the archive is damaged or truncated, or a member is missing, no file, or too large.
    """
    found: dict[str, bytes] = {}
    with _told(archive), tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("./")  # as `tar -c ./FOLDER` writes it
            if name in names:
                _check_size(archive, name, member.size, limit)
                stream = tar.extractfile(member) if member.isreg() else None  # it would follow a link
                if stream is None:
                    raise _fault(archive, f"has a member {name!r} that is no file")
                found[name] = stream.read()
                if len(found) == len(names):
                    break
    for name in names:
        if name not in found:
            raise _missing(archive, name)
    return found


class ZipMembers:
    """The members of a zip archive; a context manager.

    Args:
        archive: the file.
        limit: bytes that a member may have.

    Attributes:
        names: those of all files in it, in its order.

    Raises:
        ImpastoError: the archive is damaged or truncated, or two members have one name.
    """

    def __init__(self, archive: Path, limit: int = LIMIT) -> None:
        self._archive, self._limit = archive, limit
        with _told(archive):
            self._zip = zipfile.ZipFile(archive)
        self.names = [entry.filename for entry in self._zip.infolist() if not entry.is_dir()]
        if len(set(self.names)) < len(self.names):
            self._zip.close()
            twice = next(name for place, name in enumerate(self.names) if name in self.names[:place])
            raise _fault(archive, f"has two members {one_line(repr(twice))}")

    def __enter__(self) -> ZipMembers:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """The content of one member, checked against its CRC.

        Raises:
            ImpastoError: there is no such member, or it is damaged or too large.
        """
        try:
            entry = self._zip.getinfo(name)
        except KeyError as error:
            raise _missing(self._archive, name) from error
        _check_size(self._archive, name, entry.file_size, self._limit)  # more than it says is never unpacked
        with _told(self._archive):
            return self._zip.read(entry)


class FolderMembers:
    """The files of an unpacked archive, by the names that they had in it; a context manager.

    Args:
        folder: what the archive's single folder became, whatever it is called now.
        name: what that folder is called in the archive.
        limit: bytes that a file may have.

    Attributes:
        names: those of all files in it, sorted.
    """

    def __init__(self, folder: Path, name: str, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        self._files = {f"{name}/{path.relative_to(folder).as_posix()}": path for path in files}
        self.names = list(self._files)

    def __enter__(self) -> FolderMembers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            ImpastoError: there is no such file, or it is unreadable or too large.
        """
        path = self._files.get(name)
        if path is None:
            raise _missing(self._folder, name)
        _check_size(self._folder, name, path.stat().st_size, self._limit)
        with _told(path):
            return path.read_bytes()


Members = ZipMembers | FolderMembers


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Turn what damage raises into one error that names the archive."""
    try:
        yield
    except ImpastoError:
        raise
    except Exception as error:  # of damage, anything; of a password or an unknown compression, errors of all kinds
        raise _fault(archive, f"cannot be read: {archive_fault(error, archive)}") from error


def archive_fault(error: Exception, archive: Path) -> str:
    """Why an archive cannot be read, in one short line; what is none shows how it begins, as a web page would."""
    if "\n" not in str(error) and not isinstance(error, zipfile.BadZipFile):
        return reason(error)
    with archive.open("rb") as file:
        begun = file.read(24)
    if isinstance(error, zipfile.BadZipFile) and begun.startswith(b"PK"):
        return reason(error)
    return f"it is no whole archive, it begins with {begun!r}"  # tarfile would tell a line for each compression


def _check_size(archive: Path, name: str, size: int, limit: int) -> None:
    if size > limit:
        raise _fault(archive, f"has a member {one_line(repr(name))} of {size:,} bytes, which is more than {limit:,}")


def _missing(archive: Path, name: str) -> ImpastoError:
    return _fault(archive, f"has no member {one_line(repr(name))}")


def _fault(archive: Path, what: str) -> ImpastoError:
    return ImpastoError(f"{archive} {what}", where=str(archive), remedy="Delete it and run the command again.")
