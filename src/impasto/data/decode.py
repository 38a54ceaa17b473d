"""Image files of any format, mode and size as square uint8 RGB arrays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from impasto.errors import ImpastoError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


UNREADABLE = (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError)
"""What Pillow raises for a file that is no whole image."""


def class_names(root: Path) -> list[str]:
    """The names of the class folders of a folder, sorted; hidden ones are left out.

    Raises:
        ImpastoError: a link in it leads nowhere: it may have been a class.
    """
    entries = _visible(root)
    for entry in entries:
        _check_link(entry)
    return [entry.name for entry in entries if entry.is_dir()]


def image_files(root: Path, subfolders: bool = True) -> list[Path]:
    """The image files of a folder and its subfolders, sorted; hidden files and folders are left out, links followed.

    Raises:
        ImpastoError: one of them is a link that leads nowhere, or back to a folder around it.
    """
    found = []
    for entry in _visible(root):
        path = Path(entry.path)
        if subfolders and entry.is_dir():
            if entry.is_symlink() and path.resolve() in (root.resolve(), *root.resolve().parents):
                remedy = "Remove the link."
                raise ImpastoError(f"{path} is a link back to a folder around it", where=str(root), remedy=remedy)
            found += image_files(path)
        elif path.suffix.lower() in SUFFIXES:
            _check_link(entry)
            found += [path] if entry.is_file() else []
    return found


def _visible(root: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of names."""
    with os.scandir(root) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _check_link(entry: os.DirEntry[str]) -> None:
    """A link to what is not there is told: nobody would notice that it is left out."""
    if entry.is_symlink() and not Path(entry.path).exists():
        path, remedy = Path(entry.path), "Bring back what it leads to, or remove the link."
        raise ImpastoError(f"{path} is a link that leads nowhere", where=str(path.parent), remedy=remedy)


def read_image(file: Path, size: int) -> np.ndarray:
    """Decode one file of any mode and size into uint8 [3, size, size]: turned upright, made RGB over
    white where transparent, centre-cropped to a square and resized with antialiasing (Lanczos).

    Raises:
        ImpastoError: the file is no readable image.
    """
    try:
        with Image.open(file) as opened:
            opened.draft("RGB", (2 * size, 2 * size))  # lets a large JPEG be decoded at a fraction of its size
            upright = ImageOps.exif_transpose(opened)
            square = ImageOps.fit(_rgb(upright), (size, size), Image.Resampling.LANCZOS)
    except UNREADABLE as error:
        raise ImpastoError(
            f"{file} cannot be read as an image: {error}", where=str(file.parent), remedy="Replace or remove the file."
        ) from error
    return np.asarray(square, np.uint8).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16L", "I;16B", "I", "F"}:
        levels = np.asarray(image, np.float64)
        if not np.isfinite(levels).all():
            raise ValueError("it holds values that are not finite")
        return Image.fromarray(np.uint8(np.clip(levels / _white(image.mode, levels), 0, 1) * 255)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _white(mode: str, levels: np.ndarray) -> float:
    """The value that stands for white: 16 bits say it, 32 do not, where the least usual one that holds all is taken."""
    if mode.startswith("I;16"):
        return 65535.0
    usual = (255.0, 65535.0) if mode == "I" else (1.0, 255.0, 65535.0)
    highest = float(levels.max())
    return next((white for white in usual if highest <= white), highest)
