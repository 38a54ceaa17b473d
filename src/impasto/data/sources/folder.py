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
    pixels = read_images([file for name in classes for file in files[name]], size)
    return Images(pixels, labels, tuple(classes), f"image folder {root.name}")


def read_images(files: list[Path], size: int) -> np.ndarray:
    """Decode files into uint8 [N, 3, size, size], in parallel threads.

    Raises:
        ImpastoError: names the first file that is no readable image.
    """
    pixels = np.empty((len(files), 3, size, size), np.uint8)
    chunks = [range(i, min(i + _CHUNK, len(files))) for i in range(0, len(files), _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index in track(len(chunks), "read images", f"x{_CHUNK} images"):
            rows = chunks[index]
            for row, image in zip(rows, pool.map(lambda row: read_image(files[row], size), rows), strict=True):
                pixels[row] = image
    return pixels


def _same_classes(train: Images, test: Images, root: Path) -> None:
    lone = sorted(set(train.classes) ^ set(test.classes))
    if lone:
        raise ImpastoError(
            f"class {lone[0]!r} is in only one of train/ and test/",
            where=str(root),
            remedy="Give both the same class folders.",
        )
