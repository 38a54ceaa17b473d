"""Zoom blur of -C: the mean of an image and of its enlargements about the centre.

The blur is linear, so all enlargements together are one sparse matrix. Its weights are multiples of a power of two
so small that every sum of weighted bytes is exact in float64: neither the batch around an image nor the device's
order of summation can show, and a flat area keeps its grey level.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.exact import sparse_on_grid

Indices = NDArray[np.int64]
Weights = NDArray[np.floating]

_WEIGHT_BITS = 44  # with the 8 bits of a byte, below the 53 of float64


@corruption(integer=True)
def zoom_blur(images: Tensor, step: float, count: int) -> Tensor:
    """Mean of x, of x again (the factor 1) and of x enlarged by 1 + ``step``, 1 + 2 ``step`` .., ``count`` in all."""
    batch, channels, height, width = images.shape
    pixels = images.view(batch * channels, height * width).T.contiguous().double()
    blurred = _operator(height, width, step, int(count), images.device) @ pixels
    levels = blurred.to(torch.int32).to(torch.uint8)
    return levels.T.contiguous().view(images.shape)


def zoom_taps(length: int, factor: float) -> tuple[Indices, Weights]:
    """Where a linear enlargement of an axis about its centre samples: scipy.ndimage.zoom of a centre crop, trimmed.

    Args:
        length: of the axis, in pixels, before and after.
        factor: at least 1.

    Returns:
        For each position the first of two neighbours, int64 [length], and the weight of the second, float64 [length].
    """
    crop, start = zoom_crop(length, factor)
    enlarged = round(crop * factor)
    position = (np.arange(length) + (enlarged - length) // 2) * ((crop - 1) / (enlarged - 1))
    first = np.minimum(position.astype(np.int64), crop - 2)
    return start + first, position - first


def zoom_crop(length: int, factor: float) -> tuple[int, int]:
    """Length and start of the centre crop that fills an axis of ``length`` when it is enlarged by ``factor``."""
    crop = int(np.ceil(length / factor))
    return crop, (length - crop) // 2


def zoom_factors(step: float, count: int) -> Weights:
    """1, 1 + step .. to the last bit as the benchmark has them: a crop's length jumps at some of them."""
    return 1 + np.arange(count) * ((1 + step) - 1)


@lru_cache(maxsize=8)
def _operator(height: int, width: int, step: float, count: int, device: torch.device) -> Tensor:
    """The blur as a sparse float64 matrix [H W, H W]."""
    total = sparse.eye_array(height * width, format="csr")
    for factor in zoom_factors(step, count):
        total = total + sparse.kron(_enlargement(height, factor), _enlargement(width, factor), format="csr")
    total.eliminate_zeros()
    return sparse_on_grid(total * (1 / (count + 1)), _WEIGHT_BITS, device, diagonal=True)


def _enlargement(length: int, factor: float) -> sparse.csr_array:
    """One enlargement along one axis, [length, length]."""
    first, weight = zoom_taps(length, factor)
    row = np.arange(length)
    entries = (np.r_[1 - weight, weight], (np.r_[row, row], np.r_[first, first + 1]))
    return sparse.csr_array(entries, shape=(length, length))
