"""What datasets from their authors' files share: where the files lie, and that no class is short of images."""

from __future__ import annotations

from pathlib import Path

from impasto.config.dataset import Dataset
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.workspace import main_root

FOLDER = Path("data") / "official"
"""Where files go that ``dataset.root`` gives no place."""


def folder_of(dataset: Dataset) -> Path:
    """The folder of the archives, also from a queued experiment's copy of the workspace."""
    return main_root() / Path(dataset.root or FOLDER).expanduser()


def require_counts(images: Images, each: int, part: str, file: Path) -> None:
    """See that every class has its number of images.

    Args:
        images: of one part, with labels in range.
        each: images that a class must have.
        part: what they are, e.g. ``"training"``.
        file: where they were read.

    Raises:
        ImpastoError: names the first class that has more or fewer.
    """
    for name, count in images.counts().items():
        if count != each:
            what = f"{file} has {count:,} {part} images of class {name!r}, expected {each:,}"
            raise ImpastoError(what, where=str(file), remedy="Delete it and run the command again to fetch it anew.")
