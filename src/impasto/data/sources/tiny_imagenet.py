"""TinyImageNet out of its authors' zip archive, which is read where it lies: no tree of 120,000 files.

Stanford CS231n: 200 classes of ImageNet at 64 px. The classes are the sorted WordNet numbers, as in the folders of
TinyImageNet-C and in the published synthetic images. The validation images are the test split, because the labels of
the test images were never published; they come sorted by class and name, as a folder of class folders would.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from impasto.config.dataset import NATIVE, Dataset
from impasto.data.images import Images
from impasto.data.members import FolderMembers, Members, ZipMembers
from impasto.data.remote import Remote
from impasto.data.sources.official import place_of, published_archive, require_counts
from impasto.data.sources.own import Identity, faults, identify_file, identify_folder, require_layout
from impasto.errors import ImpastoError
from impasto.progress import notice, track

_CHUNK = 256
_CLASSES = "wnids.txt"
_ANNOTATIONS = "val/val_annotations.txt"
_LIMIT = 16 << 20  # bytes; words.txt, the largest member that is read, has 3 MB


@dataclass(frozen=True)
class TinyImageNet:
    """The dataset as it is published.

    Attributes:
        archive: the file to download.
        folder: the folder in it.
        classes: the number of classes.
        each: (training, validation) images of every class.
        size: height and width of an image, px.
    """

    archive: Remote
    folder: str
    classes: int
    each: tuple[int, int]
    size: int


TINY_IMAGENET = TinyImageNet(
    archive=Remote(
        "tiny-imagenet-200.zip",
        (
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "https://zenodo.org/records/10720917/files/tiny-imagenet-200.zip",
        ),
        248_100_043,
        "90528d7ca1a48142e341f4ef8d21d0de",
    ),
    folder="tiny-imagenet-200",
    classes=200,
    each=(500, 50),
    size=NATIVE["tiny_imagenet"],
)


class _Listed(NamedTuple):
    """A member of the archive and its class."""

    label: int
    member: str


def tiny_imagenet(dataset: Dataset) -> tuple[Images, Images]:
    """Training and validation images; see :func:`read`."""
    return read(TINY_IMAGENET, place_of(dataset), own=not dataset.published)


def read(published: TinyImageNet, place: Path, own: bool = False) -> tuple[Images, Images]:
    """Decode a dataset out of its archive: the file ``place``, or in the folder ``place``, downloaded if need be.

    Args:
        published: what to read.
        place: the archive, or its folder.
        own: ``place`` is an archive or an unpacked folder itself, with the same layout, but not held against the
            published checksum and numbers of images; see :mod:`impasto.data.sources.own`.

    Returns:
        Training and test images, sorted by class and file name; grey ones as RGB.

    Raises:
        ImpastoError: the archive cannot be had, or a member of it is missing, damaged, of another size, or of an
            unknown class, or a class has another number of images, or none. Names the member.
    """
    with faults(own):
        if own:
            require_layout(place, _CLASSES)
        archive = place if own else published_archive(published.archive, place)
        if archive.is_file():
            with ZipMembers(archive, _LIMIT) as zipped:
                return _read(published, archive, zipped, own)
        with FolderMembers(archive, published.folder, _LIMIT) as unpacked:
            return _read(published, archive, unpacked, own)


def _read(published: TinyImageNet, archive: Path, members: Members, own: bool) -> tuple[Images, Images]:
    classes = tuple(sorted(_lines(members, archive, f"{published.folder}/{_CLASSES}")))
    if len(set(classes)) != published.classes or len(classes) != published.classes:
        raise _wrong(archive, f"lists {len(set(classes))} classes in wnids.txt, expected {published.classes}")
    listed = _training(members, archive, published, classes), _validation(members, archive, published, classes)
    identity = _identity(members, archive, published, listed) if own else None
    other = identity and identity.other(*map(len, listed))
    for part, rows, each in zip(("training", "validation"), listed, published.each, strict=True):
        _require_counts(rows, classes, None if other else each, part, archive)
    source = f"TinyImageNet, {other or published.archive.name}"
    train, test = (_decode(members, archive, rows, classes, published.size, source) for rows in listed)
    if other:
        notice(source)
    return train, test


def _identity(
    members: Members, archive: Path, published: TinyImageNet, listed: Sequence[Sequence[_Listed]]
) -> Identity:
    if archive.is_file():
        return identify_file(archive, published.archive)
    prefix = f"{published.folder}/"
    names = [f"{prefix}{_CLASSES}", f"{prefix}{_ANNOTATIONS}", *(row.member for rows in listed for row in rows)]
    return identify_folder(archive, ((name.removeprefix(prefix), members.read(name)) for name in names), False)


def _training(members: Members, archive: Path, published: TinyImageNet, classes: Sequence[str]) -> list[_Listed]:
    """train/CLASS/images/*.JPEG."""
    pattern = re.compile(re.escape(published.folder) + r"/train/([^/]+)/images/[^/]+\.JPEG")
    places = {name: label for label, name in enumerate(classes)}
    found = []
    for name in members.names:
        if match := pattern.fullmatch(name):
            if match[1] not in places:
                raise _wrong(archive, f"has a member {name!r}, but wnids.txt has no {match[1]}")
            found.append(_Listed(places[match[1]], name))
    return sorted(found)


def _validation(members: Members, archive: Path, published: TinyImageNet, classes: Sequence[str]) -> list[_Listed]:
    """val/images/*.JPEG, with the classes in val_annotations.txt: tab-separated, file name and class come first."""
    places, folder = {name: label for label, name in enumerate(classes)}, f"{published.folder}/val/"
    found = []
    for number, line in enumerate(_lines(members, archive, f"{published.folder}/{_ANNOTATIONS}"), 1):
        name, label = [*line.split("\t"), ""][:2]
        if label not in places:
            raise _wrong(archive, f"names class {label!r} in line {number} of val_annotations.txt, wnids.txt does not")
        found.append(_Listed(places[label], f"{folder}images/{name}"))
    listed, there = [row.member for row in found], {n for n in members.names if n.startswith(f"{folder}images/")}
    if lone := sorted(there.symmetric_difference(listed)):
        raise _wrong(archive, f"has {lone[0]} in only one of val/images and val_annotations.txt")
    if len(set(listed)) < len(listed):
        raise _wrong(archive, "names an image twice in val_annotations.txt")
    return sorted(found)


def _require_counts(
    rows: Sequence[_Listed], classes: tuple[str, ...], each: int | None, part: str, archive: Path
) -> None:
    """Before anything is decoded."""
    labels = np.array([row.label for row in rows], np.int64)
    require_counts(Images(np.empty((len(rows), 3, 0, 0), np.uint8), labels, classes, ""), each, part, archive)


def _decode(
    members: Members, archive: Path, rows: Sequence[_Listed], classes: tuple[str, ...], size: int, source: str
) -> Images:
    """Read members one after the other, because they share a file, and decode them in parallel threads."""
    pixels = np.empty((len(rows), 3, size, size), np.uint8)
    starts = range(0, len(rows), _CHUNK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in track(len(starts), f"read {archive.name}", f"x{_CHUNK} images"):
            some = rows[starts[number] : starts[number] + _CHUNK]
            jobs = [pool.submit(_image, members.read(row.member), size) for row in some]
            for place, (row, job) in enumerate(zip(some, jobs, strict=True), starts[number]):
                try:
                    pixels[place] = job.result()
                except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                    raise _wrong(archive, f"has a member {row.member!r} that is no image: {error}") from error
    labels = np.array([row.label for row in rows], np.int64)
    return Images(pixels, labels, classes, source)


def _image(content: bytes, size: int) -> np.ndarray:
    """One JPEG as uint8 [3, size, size]; its size is looked at before it is decoded."""
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
        if opened.size != (size, size):
            raise ValueError("it has {} x {} pixels, expected {} x {}".format(*opened.size, size, size))
        return np.asarray(opened.convert("RGB")).transpose(2, 0, 1)


def _lines(members: Members, archive: Path, name: str) -> list[str]:
    try:
        return [line for line in members.read(name).decode("utf-8").splitlines() if line]
    except UnicodeDecodeError as error:
        raise _wrong(archive, f"has a member {name!r} that is no text: {error}") from error


def _wrong(archive: Path, what: str) -> ImpastoError:
    return ImpastoError(f"{archive} {what}", where=str(archive), remedy="Delete it and run the command again.")
