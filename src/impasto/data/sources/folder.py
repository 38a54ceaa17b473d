"""Any folder of class folders: train/CLASS/* and test/CLASS/*, or CLASS/* that is divided by a seed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from impasto.config.dataset import Dataset
from impasto.data.images import Images, stratified
from impasto.errors import ImpastoError
from impasto.progress import track
from impasto.rng import numpy_generator
from impasto.workspace import main_root

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_CHUNK = 256


def folder(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images at ``dataset.size`` px.

    Raises:
        ImpastoError: the folder is missing, a class is empty or in one part only, or an image is unreadable.
    """
    root = main_root() / Path(dataset.root or "").expanduser()  # also from a queued experiment's copy
    if not root.is_dir():
        raise ImpastoError(f"{root} is no directory", where="dataset.root", remedy="Name a folder of class folders.")
    if (root / "train").is_dir() and (root / "test").is_dir():
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
        ImpastoError: there are fewer than two classes, a class has no image, or an image cannot be read.
    """
    classes = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(classes) < 2:
        raise ImpastoError(
            f"{root} holds {len(classes)} class folders",
            where="dataset.root",
            remedy="Give each class a folder; two at least.",
        )
    files = {name: _files(root / name) for name in classes}
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


def read_image(file: Path, size: int) -> np.ndarray:
    """Decode one file of any mode and size into uint8 [3, size, size]: turned upright, made RGB over
    white where transparent, centre-cropped to a square and resized with antialiasing (Lanczos).

    Raises:
        ImpastoError: the file is no readable image.
    """
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened)
            square = ImageOps.fit(_rgb(upright), (size, size), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImpastoError(
            f"{file} cannot be read as an image: {error}", where=str(file.parent), remedy="Replace or remove the file."
        ) from error
    return np.asarray(square, np.uint8).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16L", "I;16B", "I", "F"}:
        levels = np.asarray(image, np.float64)
        top = 65535.0 if image.mode != "F" else max(float(levels.max()), 1e-9)
        return Image.fromarray(np.uint8(np.clip(levels / top, 0, 1) * 255)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _files(root: Path) -> list[Path]:
    found = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def _same_classes(train: Images, test: Images, root: Path) -> None:
    lone = sorted(set(train.classes) ^ set(test.classes))
    if lone:
        raise ImpastoError(
            f"class {lone[0]!r} is in only one of train/ and test/",
            where=str(root),
            remedy="Give both the same class folders.",
        )
