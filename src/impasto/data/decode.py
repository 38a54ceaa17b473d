"""Image files of any format, mode and size as square uint8 RGB arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from impasto.errors import ImpastoError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def image_files(root: Path) -> list[Path]:
    """The image files of a folder and its subfolders, sorted; hidden files and folders are left out."""
    found = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


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
