"""Files that other projects publish: where they are to be had, and whether a file at hand is the published one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from impasto.data.pinned import verify
from impasto.data.remote import Remote, download
from impasto.errors import ImpastoError
from impasto.workspace import main_root

FOLDER = Path("data") / "official"
"""Where downloads go, under the repository's root."""


@dataclass(frozen=True)
class Published:
    """A published file and what its authors tell of its content.

    Attributes:
        remote: where it is to be had.
        git_blob: the identifier that git gives its content, 40 hex digits; None where it is not known.
        sha256: the first digits of its SHA-256, as far as they are known.
    """

    remote: Remote
    git_blob: str | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Origin:
    """The file that something was made from, to be stored with it.

    Attributes:
        name: its name.
        size: bytes.
        sha256: 64 hex digits.
        git_blob: SHA-1 of "blob SIZE", a zero byte and the content, as ``git hash-object`` prints it.
        published: whether the known digests are those of the published file; None where none is known.
    """

    name: str
    size: int
    sha256: str
    git_blob: str
    published: bool | None

    def text(self) -> str:
        """JSON, for the metadata of a file."""
        return json.dumps(asdict(self), sort_keys=True)


def identify(path: Path, published: Published) -> Origin:
    """Read a file once for both digests and compare them with what is known of the published one.

    Raises:
        ImpastoError: there is no such file.
    """
    if not path.is_file():
        remedy = "Correct the path, or give none: the published file is then downloaded."
        raise ImpastoError(f"there is no file {path}", where=str(path.parent), remedy=remedy)
    size = path.stat().st_size
    wide, blob = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            wide.update(chunk)
            blob.update(chunk)
    sha256, git_blob = wide.hexdigest(), blob.hexdigest()
    known = bool(published.git_blob or published.sha256)
    same = published.git_blob in (None, git_blob) and sha256.startswith(published.sha256)
    return Origin(path.name, size, sha256, git_blob, same if known else None)


def obtain(published: Published, path: Path | None = None) -> tuple[Path, Origin]:
    """The file that the user named, whatever it is, or the published one, downloaded once to :data:`FOLDER`.

    Args:
        published: the file that is wanted.
        path: a file, relative to the repository's root or absolute; None downloads the published one, which is
            held against its pin where no digest of it is known. Who finds its content right pins it (see
            :mod:`impasto.data.pinned`).

    Returns:
        (where it is, its identity). A named file that is not the published one is no error: its identity says so.

    Raises:
        ImpastoError: there is no file at ``path``, the download failed, or a downloaded file, or one that bears the
            published digest in its name, is another one than the published or the pinned one.
    """
    file = main_root() / path.expanduser() if path else download(published.remote, main_root() / FOLDER)
    origin = identify(file, published)
    if path is None and origin.published is None:
        verify(file)
    claims = path is None or (published.sha256 and published.sha256 in file.name)
    if claims and origin.published is False:
        expected = f"git blob {published.git_blob}" if published.git_blob else f"sha256 {published.sha256}..."
        found = f"git blob {origin.git_blob}, sha256 {origin.sha256}"
        remedy = "Delete it and run the command again, or name another file in the parameters."
        raise ImpastoError(f"{file} has {found}; {expected} was published", where=str(file.parent), remedy=remedy)
    return file, origin
