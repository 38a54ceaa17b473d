"""KaoKore: faces of Japanese illustrations, fetched one by one from the libraries that hold them.

What is published are lists of labels and addresses; see :mod:`impasto.data.sources.kaokore_tables`. Images go to
``data/official/kaokore/vVERSION/images_256``, in the layout in which ``dataset.root`` takes a folder of them. Only
labelled images are asked for. Its authors ask not to pass the images on.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from impasto.config.dataset import Dataset
from impasto.data.checked import sha256_of
from impasto.data.collection import collect
from impasto.data.decode import UNREADABLE
from impasto.data.grouped import components, grouped
from impasto.data.images import Images
from impasto.data.pinned import pin, verify
from impasto.data.remote import Remote, download
from impasto.data.sources.folder import read_images
from impasto.data.sources.kaokore_lists import (
    LABELS,
    TAGS,
    URLS,
    Row,
    page_of,
    read_labels,
    read_urls,
    read_works,
    require_classes,
    require_counts,
    url_of,
)
from impasto.data.sources.kaokore_tables import ATTRIBUTION, CLASSES, LICENCE, PARTS, VERSIONS, Kaokore
from impasto.data.sources.official import FOLDER
from impasto.errors import ImpastoError
from impasto.progress import notice
from impasto.rng import numpy_generator
from impasto.workspace import main_root

IMAGES = "images_256"
"""The folder of the images, whatever their size."""

_TOLD = 5  # names in an error


@dataclass(frozen=True)
class _Shelf:
    """Lists and images as they lie on the disk.

    Attributes:
        place: the folder.
        rows: labelled images that are there.
        left_out: labelled images that nobody can have.
        urls: the list of addresses, where there is one.
    """

    place: Path
    rows: list[Row]
    left_out: list[str] = field(default_factory=list)
    urls: list[str] | None = None


def kaokore(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images of the configured version, task and split; see :func:`read`."""
    return read(VERSIONS[str(dataset.version)], dataset)


def read(published: Kaokore, dataset: Dataset) -> tuple[Images, Images]:
    """Read a version out of ``dataset.root``, or out of where it is downloaded to.

    Args:
        published: the version.
        dataset: its task, split, size, and where it is; with ``published`` false what the root holds is not held
            against the published counts, and need not be all of a version.

    Returns:
        Training and test images at ``dataset.size`` px. With the official split the former hold its dev images too,
        and name them as validation rows; with the disjoint one they tell what must not be divided further.

    Raises:
        ImpastoError: a list is missing, makes no sense or has other counts than published; an image is missing, is
            none or could not be downloaded; or a class lies in one source work only.
    """
    shelf = _own(published, dataset) if dataset.root else _downloaded(published)
    if dataset.split == "disjoint":
        groups = components(_keys(shelf))
        labels = np.array([row.label(str(dataset.task)) for row in shelf.rows], np.int64)
        generator = numpy_generator(dataset.seed, "kaokore", "test")
        rest, test = grouped(labels, groups, dataset.test, generator, CLASSES[str(dataset.task)])
        return replace(_load(shelf, dataset, rest), groups=groups[rest]), _load(shelf, dataset, test)
    train, dev, test = (np.flatnonzero([row.part == part for row in shelf.rows]) for part in PARTS)
    first = _load(shelf, dataset, np.concatenate([train, dev]))
    return replace(first, validation=np.arange(len(train), len(first))), _load(shelf, dataset, test)


def _downloaded(published: Kaokore) -> _Shelf:
    place = main_root() / FOLDER / "kaokore" / f"v{published.version}"
    for name in (LABELS, URLS, TAGS):
        verify(download(Remote(name, tuple(f"{address}/{name}" for address in published.addresses)), place))
    rows, urls = read_labels(place / LABELS), read_urls(place / URLS, published)
    require_counts(rows, published, place / LABELS)
    for name in (LABELS, URLS, TAGS):  # they have been found to be what they should be
        pin(place / name)
    wanted = {row.name: url_of(row, urls, place / URLS) for row in rows}
    collect({name: url for name, url in wanted.items() if url}, place / IMAGES, _fault)
    return _kept(_Shelf(place, rows, [name for name, url in wanted.items() if not url], urls))


def _own(published: Kaokore, dataset: Dataset) -> _Shelf:
    """What ``dataset.root`` names: nothing is fetched, and every labelled image must be there that can be had."""
    place = main_root() / Path(str(dataset.root)).expanduser()
    rows, listed = read_labels(place / LABELS), (place / URLS).is_file()
    urls = read_urls(place / URLS, published if dataset.published else None) if listed else None
    if dataset.published:
        require_counts(rows, published, place / LABELS)
    missing = [row for row in rows if not _filled(place / IMAGES / row.name)]
    lost = [row for row in missing if urls is None or url_of(row, urls, place / URLS)]
    if lost and (urls is not None or not dataset.published or len(lost) != published.unreachable):
        names = ", ".join(row.name for row in lost[:_TOLD])
        more = ", ..." if len(lost) > _TOLD else ""
        what = f"{place / IMAGES} lacks {len(lost):,} of {len(rows):,} labelled images ({names}{more})"
        remedy = "Put them there, or set dataset.root to null to have them downloaded."
        raise ImpastoError(what, where="dataset.root", remedy=remedy)
    shelf = _kept(_Shelf(place, rows, [row.name for row in missing], urls))
    if not dataset.published:
        require_classes(shelf.rows, str(dataset.task), place / LABELS)
    return shelf


def _filled(file: Path) -> bool:
    """Whether there is a file with something in it: failed downloads leave empty ones."""
    return file.is_file() and file.stat().st_size > 0


def _kept(shelf: _Shelf) -> _Shelf:
    """Leave out what cannot be had, and say so."""
    if shelf.left_out:
        notice(f"KaoKore: {len(shelf.left_out):,} labelled images have no address in {URLS} and are left out")
    gone = set(shelf.left_out)
    return replace(shelf, rows=[row for row in shelf.rows if row.name not in gone])


def _fault(content: bytes) -> str | None:
    """Why a file is no image that can be decoded."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
    except UNREADABLE as error:
        start = content[:40].decode("ascii", "replace").strip()
        return f"no image: it begins with {start!r}" if content[:1] == b"<" else f"no image: {error}"
    return None


def _keys(shelf: _Shelf) -> list[list[tuple[str, str]]]:
    """Source works and page of each image; a page of unknown address belongs to its work."""
    works = read_works(shelf.place / TAGS)
    if lone := [row.name for row in shelf.rows if row.name not in works]:
        remedy = f"Put the published {TAGS} there: the disjoint split is by source works."
        raise ImpastoError(f"{shelf.place / TAGS} has no line for {lone[0]}", where="dataset.split", remedy=remedy)
    keys = [[("work", work) for work in works[row.name]] for row in shelf.rows]
    if shelf.urls is not None:
        for row, mine in zip(shelf.rows, keys, strict=True):
            if url := url_of(row, shelf.urls, shelf.place / URLS):
                mine.append(("page", page_of(url)))
    return keys


def _load(shelf: _Shelf, dataset: Dataset, rows: np.ndarray) -> Images:
    """Decode the images at ``rows``."""
    task, chosen = str(dataset.task), [shelf.rows[row] for row in rows]
    pixels = read_images([shelf.place / IMAGES / row.name for row in chosen], dataset.size)
    labels = np.array([row.label(task) for row in chosen], np.int64)
    names = np.array([row.name for row in chosen])
    return Images(pixels, labels, CLASSES[task], _source(shelf, dataset), _notes(shelf, dataset), names=names)


def _source(shelf: _Shelf, dataset: Dataset) -> str:
    told = f"KaoKore {dataset.version}, {dataset.task}, {dataset.split} split"
    if not dataset.published:
        told += f", not the published lists: {LABELS} with sha256 {sha256_of(shelf.place / LABELS)}"
    return f"{told}; {ATTRIBUTION}, {LICENCE}"


def _notes(shelf: _Shelf, dataset: Dataset) -> dict[str, Any]:
    facts = {"version": dataset.version, "task": dataset.task, "split": dataset.split, "left_out": shelf.left_out}
    return facts | {"attribution": ATTRIBUTION, "licence": LICENCE}
