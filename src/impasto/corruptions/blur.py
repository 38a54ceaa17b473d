"""Blurs of -C by symmetric kernels: Gaussian and defocus (a smoothed disk).

Sums are taken tap by tap in a fixed order, with elementwise operations alone: a flat area lands exactly on a grey
level, and truncation would turn the rounding noise of a matrix product, which varies with batch size and device,
into a difference of a whole level. Inside, the batch is the last axis, so that shifted views stay contiguous runs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.pixels import truncate, unit

Kernel = NDArray[np.float32]

_VERTICAL, _HORIZONTAL = 1, 2  # axes of [3, H, W, B]


@corruption()
def gaussian_blur(images: Tensor, sigma: float, *, dtype: torch.dtype) -> Tensor:
    """Separable Gaussian of ``sigma`` pixels, cut at 4 sigma, edges replicated; sums in scipy.ndimage's order."""
    return _batch_first(truncate(smooth(unit(_batch_last(images), dtype), sigma)))


def smooth(x: Tensor, sigma: float) -> Tensor:
    """The Gaussian of :func:`gaussian_blur` on floats [C, H, W, B]."""
    weights = _gaussian(sigma, int(4 * sigma + 0.5))
    for axis in (_VERTICAL, _HORIZONTAL):
        x = _correlate(extend(x, axis, len(weights) - 1, "nearest"), axis, weights)
    return x


@corruption()
def defocus_blur(images: Tensor, radius: float, smoothing: float, *, dtype: torch.dtype) -> Tensor:
    """Correlation with a disk of ``radius`` pixels, smoothed by a Gaussian of ``smoothing`` pixels; edges mirrored."""
    kernel = defocus_kernel(radius, smoothing)
    reach = kernel.shape[0] // 2
    extended = extend(extend(_batch_last(images), _VERTICAL, reach, "reflect"), _HORIZONTAL, reach, "reflect")
    return _batch_first(truncate(_correlate_symmetric(unit(extended, dtype), kernel[reach:, reach:])))


@lru_cache(maxsize=32)
def defocus_kernel(radius: float, smoothing: float) -> Kernel:
    """The kernel of :func:`defocus_blur`: float32 [n, n], n odd, trimmed of its zero border.

    The steps run in float32, as in the benchmark: where the weights sum to slightly less than 1, a flat area loses
    a whole grey level to truncation. The disk lies on a 17 x 17 grid, or one that just holds it if larger; it is
    mirrored there while being smoothed, so for a radius of 8 or more the weights sum to 1.01.
    """
    half, window = (8, 1) if radius <= 8 else (int(radius), 2)
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    disk: Kernel = (rows**2 + columns**2 <= radius**2).astype(np.float32)
    kernel: Kernel = disk / disk.sum()
    weights = np.array(_gaussian(smoothing, window), dtype=np.float32)
    for axis in (1, 0):
        padded = np.pad(kernel, [(window * (axis == each),) * 2 for each in (0, 1)], mode="reflect")
        shifted = [np.take(padded, np.arange(2 * half + 1) + shift, axis) for shift in range(2 * window + 1)]
        kernel = shifted[window] * weights[0]
        for step in range(1, window + 1):
            kernel = kernel + (shifted[window - step] + shifted[window + step]) * weights[step]
    reach = int(np.abs(np.argwhere(kernel) - half).max())
    return kernel[half - reach : half + reach + 1, half - reach : half + reach + 1]


def _gaussian(sigma: float, reach: int) -> list[float]:
    """Weights of the taps 0, 1 .. reach on either side, summing to 1 over the whole kernel."""
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 / sigma**2 * offsets**2)
    return list((weights / weights.sum())[reach:].tolist())


def _batch_last(images: Tensor) -> Tensor:
    return images.permute(1, 2, 3, 0).contiguous()


def _batch_first(images: Tensor) -> Tensor:
    return images.permute(3, 0, 1, 2).contiguous()


def extend(x: Tensor, axis: int, reach: int, border: str) -> Tensor:
    """Add ``reach`` positions at both ends: the edge again (``nearest``), or mirrored about it (``reflect``)."""
    length = x.shape[axis]
    if border == "reflect" and reach >= length:
        index = torch.arange(-reach, length + reach, device=x.device).remainder_(2 * length - 2)
        return x.index_select(axis, torch.minimum(index, 2 * length - 2 - index))
    result = x.new_empty([side + 2 * reach * (each == axis) for each, side in enumerate(x.shape)])
    result.narrow(axis, reach, length).copy_(x)
    nearest = border == "nearest"
    before = x.narrow(axis, 0, 1) if nearest else x.narrow(axis, 1, reach).flip(axis)
    after = x.narrow(axis, length - 1, 1) if nearest else x.narrow(axis, length - 1 - reach, reach).flip(axis)
    result.narrow(axis, 0, reach).copy_(before)
    result.narrow(axis, reach + length, reach).copy_(after)
    return result


def _correlate(x: Tensor, axis: int, weights: list[float]) -> Tensor:
    """Correlate an extended axis with a symmetric kernel: the centre first, then pairs from the outside inwards."""
    reach = len(weights) - 1
    length = x.shape[axis] - 2 * reach
    total = x.narrow(axis, reach, length) * weights[0]
    pair = torch.empty_like(total)
    for step in range(reach, 0, -1):
        torch.add(x.narrow(axis, reach - step, length), x.narrow(axis, reach + step, length), out=pair)
        total += pair.mul_(weights[step])
    return total


def _correlate_symmetric(x: Tensor, quadrant: Kernel) -> Tensor:
    """Correlate with the kernel whose lower right quadrant, centre included, is given; both axes are extended.

    The kernel mirrors itself in both axes, so up to four values share one product.
    """
    reach = quadrant.shape[0] - 1
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for i in range(reach + 1):
        row = _pair(x, _VERTICAL, reach, i)
        for j in range(reach + 1):
            if quadrant[i, j]:
                total = _pair(row, _HORIZONTAL, reach, j).mul(float(quadrant[i, j])).add_(total)
    return total


def _pair(x: Tensor, axis: int, reach: int, step: int) -> Tensor:
    """The sum of the values ``step`` before and after each position; the value itself for step 0."""
    length = x.shape[axis] - 2 * reach
    if step == 0:
        return x.narrow(axis, reach, length)
    return x.narrow(axis, reach - step, length) + x.narrow(axis, reach + step, length)
