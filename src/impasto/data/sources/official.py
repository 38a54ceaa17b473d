"""What datasets from their authors' files share: where the files lie, and that no class is short of images."""

from __future__ import annotations

from pathlib import Path

from impasto.config.dataset import Dataset
from impasto.data.checked import fault_of
from impasto.data.images import Images
from impasto.data.remote import Remote, download
from impasto.errors import ImpastoError
from impasto.workspace import main_root

FOLDER = Path("data") / "official"
"""Where files go that ``dataset.root`` gives no place."""

_ENDINGS = (".gz", ".tgz", ".tar", ".zip")  # of what is a file, not a folder to be made


def place_of(dataset: Dataset) -> Path:
    """What ``dataset.root`` names, or the folder of the archives, also from a queued experiment's copy."""
    return main_root() / Path(dataset.root or FOLDER).expanduser()


def published_archive(remote: Remote, place: Path) -> Path:
    """The published archive: the file ``place`` itself, or in the folder ``place``, downloaded if it is not there.

    Raises:
        ImpastoError: the file is another one, whatever its name, does not exist, or cannot be had.
    """
    if place.is_file():
        if fault := fault_of(place, remote.size, remote.md5, remember=False):
            remedy = f"Name {remote.name} as it is published, or set dataset.published to false to take this one."
            raise ImpastoError(f"{place} {fault}", where="dataset.root", remedy=remedy)
        return place
    if place.suffix in _ENDINGS and not place.exists():
        raise ImpastoError(f"{place} does not exist", where="dataset.root", remedy="Put the file there.")
    return download(remote, place)


def require_counts(images: Images, each: int | None, part: str, file: Path) -> None:
    """See that every class has its number of images.

    Args:
        images: of one part, with labels in range.
        each: images that a class must have; None: one at least.
        part: what they are, e.g. ``"training"``.
        file: where they were read.

    Raises:
        ImpastoError: names the first class that has more or fewer.
    """
    for name, count in images.counts().items():
        if not count if each is None else count != each:
            wanted = "at least one" if each is None else f"{each:,}"
            what = f"{file} has {count:,} {part} images of class {name!r}, expected {wanted}"
            raise ImpastoError(what, where=str(file), remedy="Delete it and run the command again to fetch it anew.")
