"""Defocus blur of -C: correlation with a disk smoothed by a Gaussian, edges mirrored.

Sums over a disk are sums of integers, so they are exact whatever their order, and cost four additions per column of
half the disk: vertical strips grow from its flat ends to its full height, and each is added left and right of the
centre. What the kernel has beyond a smoothed disk is a short list of taps. A flat area lands exactly on its grey
level times the sum of the kernel, so truncation sees no rounding noise there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.corruptions.blur import gaussian_taps
from impasto.corruptions.catalogue import corruption

Kernel = NDArray[np.floating[Any]]
Taps = tuple[tuple[int, int, float], ...]

_SMALLEST_DISK = 2.0  # pixels; below it the taps alone are faster
_MIDDLE = 128  # of the bytes, taken off so that sums fit in 16 bits
_NUDGE = 1e-11  # grey levels: above the rounding noise of float64 and below the resolution of the kernel


@corruption()
def defocus_blur(images: Tensor, radius: float, smoothing: float, *, dtype: torch.dtype) -> Tensor:
    """Correlation with a disk of ``radius`` pixels, smoothed by a Gaussian of ``smoothing`` pixels; edges mirrored.

    The kernel is :func:`defocus_kernel` to within its float32 resolution, and its sum is the same to the last bit.
    """
    plan = _plan(radius, smoothing)
    x = _mirrored(images.flatten(0, 1), plan.reach, torch.int16 if plan.fits_16_bits else torch.int32)
    shape = (len(x), *images.shape[2:])
    levels = torch.full(shape, _MIDDLE * plan.sum + _NUDGE, dtype=dtype, device=x.device)
    _add_taps(levels, x, plan.taps, plan.reach)
    if plan.disk:
        beyond = plan.reach - (len(plan.disk) + len(plan.line) - 2)
        inner = x[:, beyond : x.shape[1] - beyond, beyond : x.shape[2] - beyond]
        levels += _smoothed(_disk_sums(inner, plan.disk), plan.line, dtype)
    return levels.clamp_(0, 255).to(torch.int32).to(torch.uint8).view(images.shape)


@lru_cache(maxsize=32)
def defocus_kernel(radius: float, smoothing: float) -> Kernel:
    """The kernel of :func:`defocus_blur`: float32 [n, n], n odd, trimmed of its zero border.

    The steps run in float32, as in the benchmark: where the weights sum to slightly less than 1, a flat area loses
    a whole grey level to truncation. The disk lies on a 17 x 17 grid, or one that just holds it if larger; it is
    mirrored there while being smoothed, so for a radius of 8 or more the weights sum to 1.01.
    """
    half, window = _grid(radius)
    disk = _disk(half, radius).astype(np.float32)
    kernel = _smooth(disk / disk.sum(), np.array(gaussian_taps(smoothing, window), dtype=np.float32), "reflect")
    reach = int(np.abs(np.argwhere(kernel) - half).max())
    return kernel[half - reach : half + reach + 1, half - reach : half + reach + 1]


@dataclass(frozen=True)
class _Plan:
    """The kernel as a disk that is smoothed along both axes, and ``taps``.

    Attributes:
        disk: half the height of the disk at the columns 0, 1 .. from its centre; empty where ``taps`` hold all.
        line: weights of the smoothing at the distances 0, 1 .. with the square root of the disk's weight.
        taps: (row, column, weight) in the lower right quadrant, of what the smoothed disk is short of the kernel.
        reach: the farthest row or column of either.
        sum: of the kernel.
    """

    disk: tuple[int, ...]
    line: tuple[float, ...]
    taps: Taps
    reach: int
    sum: float

    @property
    def fits_16_bits(self) -> bool:
        """Whether twice the sum over the disk, or four values, stay below 2**15."""
        area = sum((2 * half + 1) * (2 if column else 1) for column, half in enumerate(self.disk))
        return 2 * area * _MIDDLE < 2**15


@lru_cache(maxsize=32)
def _plan(radius: float, smoothing: float) -> _Plan:
    kernel = defocus_kernel(radius, smoothing).astype(np.float64)
    total = float(kernel.sum())
    if radius < _SMALLEST_DISK:
        return _Plan((), (), _quadrant(kernel), kernel.shape[0] // 2, total)
    half, window = _grid(radius)
    disk = _disk(half, radius).astype(np.float64)
    line = np.array(gaussian_taps(smoothing, window))
    mirrored = np.pad(_smooth(disk, line, "reflect"), window)
    line = line[line > 1e-12 * line[0]]
    weight = total / float(mirrored.sum())
    taps = _quadrant((mirrored - _smooth(np.pad(disk, window), line, "constant")) * weight)
    heights = tuple(math.isqrt(int(radius**2 - column**2)) for column in range(int(radius) + 1))
    reach = max(int(radius) + len(line) - 1, *(max(row, column) for row, column, _ in taps), 0)
    return _Plan(heights, tuple((line * math.sqrt(weight)).tolist()), taps, reach, total)


def _grid(radius: float) -> tuple[int, int]:
    """Half the side of the grid that holds the disk, and the reach of the smoothing, in pixels."""
    return (8, 1) if radius <= 8 else (int(radius), 2)


def _disk(half: int, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    inside: NDArray[np.bool_] = rows**2 + columns**2 <= radius**2
    return inside


def _smooth(kernel: Kernel, weights: Kernel, border: Literal["reflect", "constant"]) -> Kernel:
    """Correlate columns, then rows, with a symmetric line: its middle first, then pairs from the inside outwards."""
    window, side = len(weights) - 1, len(kernel)
    for axis in (1, 0):
        padded = np.pad(kernel, [(window * (axis == each),) * 2 for each in (0, 1)], mode=border)
        shifted = [np.take(padded, np.arange(side) + shift, axis) for shift in range(2 * window + 1)]
        kernel = shifted[window] * weights[0]
        for step in range(1, window + 1):
            kernel = kernel + (shifted[window - step] + shifted[window + step]) * weights[step]
    return kernel


def _quadrant(kernel: Kernel) -> Taps:
    reach = len(kernel) // 2
    quadrant = kernel[reach:, reach:]
    return tuple((int(i), int(j), float(quadrant[i, j])) for i, j in np.argwhere(np.abs(quadrant) > 1e-12))


def _mirrored(planes: Tensor, reach: int, dtype: torch.dtype) -> Tensor:
    """Bytes [P, H, W] less their middle, with ``reach`` mirrored rows and columns on every side."""
    height, width = planes.shape[1:]
    assert reach < min(height, width), "one reflection must do"
    x = torch.empty(len(planes), height + 2 * reach, width + 2 * reach, dtype=dtype, device=planes.device)
    rows = x[:, reach : reach + height]
    rows[:, :, reach : reach + width].copy_(planes).sub_(_MIDDLE)
    rows[:, :, :reach] = rows[:, :, reach + 1 : 2 * reach + 1].flip(2)
    rows[:, :, reach + width :] = rows[:, :, width - 1 : width + reach - 1].flip(2)
    x[:, :reach] = x[:, reach + 1 : 2 * reach + 1].flip(1)
    x[:, reach + height :] = x[:, height - 1 : height + reach - 1].flip(1)
    return x


def _disk_sums(x: Tensor, disk: tuple[int, ...]) -> Tensor:
    """Sums over a disk around each position that is at least its radius from the borders; integers."""
    radius = len(disk) - 1
    height, width = (length - 2 * radius for length in x.shape[1:])
    strip, half = x.narrow(1, radius, height).clone(), 0
    total = torch.zeros(len(x), height, width, dtype=x.dtype, device=x.device)
    for column in range(radius, -1, -1):
        while half < disk[column]:
            half += 1
            strip += x.narrow(1, radius - half, height)
            strip += x.narrow(1, radius + half, height)
        for start in {radius - column, radius + column}:
            total += strip.narrow(2, start, width)
    return total


def _smoothed(x: Tensor, line: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """Correlate both axes of [P, H, W] with a symmetric line that shortens them by its length."""
    for axis in (1, 2):
        reach = len(line) - 1
        length = x.shape[axis] - 2 * reach
        total = x.narrow(axis, reach, length).to(dtype) * line[0]
        for step in range(1, reach + 1):
            pair = x.narrow(axis, reach - step, length) + x.narrow(axis, reach + step, length)
            total.add_(pair.to(dtype), alpha=line[step])
        x = total
    return x


def _add_taps(total: Tensor, x: Tensor, taps: Taps, reach: int) -> None:
    """Add to ``total`` what a kernel that mirrors itself in both axes gives; up to four values share a product."""
    height, width = total.shape[1:]
    for row, group in groupby(taps, key=lambda tap: tap[0]):
        strip = x.narrow(1, reach + row, height)
        strip = strip + x.narrow(1, reach - row, height) if row else strip
        for _, column, weight in group:
            pair = strip.narrow(2, reach + column, width)
            pair = pair + strip.narrow(2, reach - column, width) if column else pair
            total.add_(pair.to(total.dtype), alpha=weight)
