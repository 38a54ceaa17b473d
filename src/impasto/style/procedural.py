"""Style images drawn by code from a seed: no download, no licence, the same bytes for the same seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.rng import numpy_generator
from impasto.style.palettes import Floats, palette
from impasto.style.textures import FAMILIES

_SUPERSAMPLING = 2  # each pixel is the mean of a 2 x 2 block: edges without steps
_ATTEMPTS = 100


def procedural_styles(count: int, size: int, min_std: float, seed: int) -> Tensor:
    """Draw style images; the families of textures take turns, each image has a palette of its own.

    Image ``i`` depends on (seed, i, size, min_std) alone, so a larger bank begins with the smaller one.

    Args:
        count: the number of images S.
        size: side in pixels.
        min_std: flat images, whose per-channel standard deviation (in [0, 1] units) is below this on average
            over the channels, are drawn again: at alpha 1 they would erase the content.
        seed: the seed of all draws.

    Returns:
        uint8 [S, 3, size, size].

    Raises:
        ImpastoError: ``min_std`` is so high that a family cannot reach it.
    """
    images = [_drawn(index, size, min_std, seed) for index in range(count)]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def contrast(image: np.ndarray) -> float:
    """Per-channel standard deviation of an image [H, W, 3] in [0, 255], averaged over channels, in [0, 1] units."""
    return float(image.std(axis=(0, 1), dtype=np.float64).mean()) / 255


def _drawn(index: int, size: int, min_std: float, seed: int) -> np.ndarray:
    family = FAMILIES[index % len(FAMILIES)]
    for attempt in range(_ATTEMPTS):
        rng = numpy_generator(seed, "style", index, attempt)
        image = _bytes(family(rng, size * _SUPERSAMPLING, palette(rng)))
        if contrast(image) >= min_std:
            return image
    raise ImpastoError(
        f"no procedural style of the family {family.__name__} reaches the contrast {min_std} in {_ATTEMPTS} draws",
        where="style.min_std",
        remedy="Lower it; 0.08 rejects what would erase the content.",
    )


def _bytes(picture: Floats) -> np.ndarray:
    """Average blocks of a supersampled picture and round to uint8 [size, size, 3]."""
    size = picture.shape[0] // _SUPERSAMPLING
    blocks = picture.clip(0, 1).reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 3)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3)) * 255), np.uint8)
