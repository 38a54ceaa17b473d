"""Style images from a folder of pictures, such as a subset of Painter by Numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.rng import numpy_generator
from impasto.style.procedural import contrast

_SUFFIXES = {".jpg", ".jpeg", ".png"}


def folder_styles(root: Path, count: int, size: int, min_std: float, seed: int) -> Tensor:
    """Choose ``count`` pictures of a folder and its subfolders; centre square, antialiased resize.

    Args:
        root: the folder.
        count: the number of images S.
        size: side in pixels.
        min_std: pictures with less contrast than this are passed over (see :func:`~.procedural.contrast`).
        seed: decides which pictures are taken, and their order.

    Returns:
        uint8 [S, 3, size, size].

    Raises:
        ImpastoError: the folder is missing, holds too few pictures, or one of them cannot be read.
    """
    if not root.is_dir():
        raise ImpastoError(
            f"the style folder {root} does not exist",
            where="style.root",
            remedy="Name a folder of pictures, or set style.bank to procedural.",
        )
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if len(files) < count:
        raise _too_few(f"{len(files)} pictures", root, count)
    chosen: list[np.ndarray] = []
    for place in numpy_generator(seed, "style-folder").permutation(len(files)):
        picture = _square(files[place], size)
        if contrast(picture) >= min_std:
            chosen.append(picture)
        if len(chosen) == count:
            return torch.from_numpy(np.stack(chosen)).permute(0, 3, 1, 2).contiguous()
    raise _too_few(f"{len(chosen)} pictures with a contrast of at least {min_std} (of {len(files)})", root, count)


def _square(file: Path, size: int) -> np.ndarray:
    try:
        with Image.open(file) as image:
            image.draft("RGB", (2 * size, 2 * size))  # lets a large JPEG be decoded at a fraction of its size
            picture = image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImpastoError(
            f"the style picture {file} cannot be read: {error}", where="style.root", remedy="Delete or replace it."
        ) from error
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))


def _too_few(found: str, root: Path, count: int) -> ImpastoError:
    return ImpastoError(
        f"{root} holds {found}, but style.count asks for {count}",
        where="style.root",
        remedy="Lower style.count or add pictures (jpg, png).",
    )
