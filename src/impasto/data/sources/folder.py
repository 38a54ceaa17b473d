"""Any folder of class folders: train/CLASS/* and test/CLASS/*, or CLASS/* that is divided by a seed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from impasto.config.dataset import Dataset
from impasto.data.decode import SUFFIXES, class_names, image_files, read_image
from impasto.data.images import Images, stratified
from impasto.errors import ImpastoError
from impasto.progress import track
from impasto.rng import numpy_generator
from impasto.workspace import main_root

_CHUNK = 256
_TOLD = 10  # files that an error names


def folder(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images at ``dataset.size`` px.

    Raises:
        ImpastoError: the folder is missing, a class is empty or in one part only, or an image is unreadable.
    """
    root = main_root() / Path(dataset.root or "").expanduser()  # also from a queued experiment's copy
    if not root.is_dir():
        raise ImpastoError(f"{root} is no directory", where="dataset.root", remedy="Name a folder of class folders.")
    parts = {part: (root / part).is_dir() for part in ("train", "test")}
    if sum(parts.values()) == 1:
        there, lacking = sorted(parts, key=lambda part: not parts[part])
        remedy = f"Add it, or name {root / there} to have a seed divide it."
        raise ImpastoError(f"{root} has a folder {there!r}, but no {lacking!r}", where="dataset.root", remedy=remedy)
    if all(parts.values()):
        train, test = (read_tree(root / part, dataset.size) for part in ("train", "test"))
        _same_classes(train, test, root)
        return train, test
    images = read_tree(root, dataset.size)
    first, second = stratified(
        images.labels, dataset.test, numpy_generator(dataset.seed, "folder", "test"), images.classes
    )
    return images.take(first), images.take(second)


def read_tree(root: Path, size: int) -> Images:
    """Read ROOT/CLASS/** into one array; classes in alphabetical order, hidden files and folders left out.

    Raises:
        ImpastoError: there are fewer than two classes, a class has no image, an image cannot be read, or a link leads
            nowhere.
    """
    classes = class_names(root)
    if len(classes) < 2:
        raise ImpastoError(
            f"{root} holds {'one class folder' if classes else 'no class folder'}",
            where="dataset.root",
            remedy="Give each class a folder; two at least.",
        )
    files = {name: image_files(root / name) for name in classes}
    for name, found in files.items():
        if not found:
            raise ImpastoError(
                f"class {name!r} has no images",
                where=str(root / name),
                remedy=f"Add images ({', '.join(sorted(SUFFIXES))}) or remove the folder.",
            )
    labels = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    every = [file for name in classes for file in files[name]]
    names = np.array([file.relative_to(root).as_posix() for file in every])
    return Images(read_images(every, size), labels, tuple(classes), f"image folder {root.name}", names=names)


def read_images(files: list[Path], size: int) -> np.ndarray:
    """Decode files into uint8 [N, 3, size, size], in parallel threads.

    Raises:
        ImpastoError: names the files that are no readable images, up to :data:`_TOLD` of them.
    """
    broken: list[ImpastoError] = []
    pixels = np.empty((len(files), 3, size, size), np.uint8)
    chunks = [range(i, min(i + _CHUNK, len(files))) for i in range(0, len(files), _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index in track(len(chunks), "read images", f"x{_CHUNK} images"):
            rows = chunks[index]
            for row, image in zip(rows, pool.map(lambda row: _read(files[row], size), rows), strict=True):
                if isinstance(image, ImpastoError):
                    broken.append(image)
                else:
                    pixels[row] = image
    if broken:
        raise _unreadable(broken)
    return pixels


def _read(file: Path, size: int) -> np.ndarray | ImpastoError:
    try:
        return read_image(file, size)
    except ImpastoError as error:
        return error


def _unreadable(broken: list[ImpastoError]) -> ImpastoError:
    """All that are broken in one error: else they would be found one a run."""
    told = "; ".join(error.what for error in broken[:_TOLD])
    if len(broken) == 1:
        return broken[0]
    more = "; ..." if len(broken) > _TOLD else ""
    what = f"{len(broken):,} files cannot be read as images: {told}{more}"
    return ImpastoError(what, where=broken[0].where, remedy="Replace or remove the files.")


def _same_classes(train: Images, test: Images, root: Path) -> None:
    lone = sorted(set(train.classes) ^ set(test.classes))
    if lone:
        raise ImpastoError(
            f"class {lone[0]!r} is in only one of train/ and test/",
            where=str(root),
            remedy="Give both the same class folders.",
        )
