"""Style images from a folder of pictures, such as a subset of Painter by Numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.data.decode import image_files, read_image
from impasto.errors import ImpastoError
from impasto.rng import numpy_generator
from impasto.style.procedural import contrast


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
    files = image_files(root)
    if len(files) < count:
        raise _too_few(f"{len(files)} pictures", root, count)
    chosen: list[np.ndarray] = []
    for place in numpy_generator(seed, "style-folder").permutation(len(files)):
        picture = read_image(files[place], size)
        if contrast(picture.transpose(1, 2, 0)) >= min_std:
            chosen.append(picture)
        if len(chosen) == count:
            return torch.from_numpy(np.stack(chosen))
    raise _too_few(f"{len(chosen)} pictures with a contrast of at least {min_std} (of {len(files)})", root, count)


def _too_few(found: str, root: Path, count: int) -> ImpastoError:
    return ImpastoError(
        f"{root} holds {found}, but style.count asks for {count}",
        where="style.root",
        remedy="Lower style.count or add pictures.",
    )
