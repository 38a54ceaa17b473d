"""Defocus blur of -C: correlation with a disk smoothed by a Gaussian, edges mirrored.

Three ways, by size. Below a pixel or two the kernel is a short list of taps. Sums over a disk are sums of integers,
so they are exact whatever their order, and cost four additions per column of half the disk: vertical strips grow
from its flat ends to its full height, and each is added left and right of the centre. The largest disks touch the
grid on which they are smoothed, whose border mirrors them, and are no smoothed disks any more: they go through a
Fourier transform. In each way a flat area lands exactly on its grey level times the sum of the kernel, or nearer to
it than ``_NUDGE``, so truncation sees no rounding noise there.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from impasto.corruptions.blur import gaussian_taps
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.pixels import truncate_levels

Kernel = NDArray[np.floating[Any]]
Taps = tuple[tuple[int, int, float], ...]

_SMALLEST_DISK = 2.0  # pixels; below it taps are faster
_LARGEST_DISK = 8.0  # pixels; from it on the smoothing mirrors the disk
_MIDDLE = 128  # of the bytes, taken off so that sums fit in 16 bits
_NUDGE = 1e-11  # grey levels: above the rounding noise of float64 and below the resolution of the kernel


@corruption()
def defocus_blur(images: Tensor, radius: float, smoothing: float, *, dtype: torch.dtype) -> Tensor:
    """Correlation with a disk of ``radius`` pixels, smoothed by a Gaussian of ``smoothing`` pixels; edges mirrored.

    The kernel is :func:`defocus_kernel` to within its float32 resolution, and its sum is the same to the last bit.
    """
    planes = images.flatten(0, 1)
    if radius < _SMALLEST_DISK:
        levels = _by_taps(planes, defocus_kernel(radius, smoothing), dtype)
    elif radius < _LARGEST_DISK:
        levels = _by_strips(planes, radius, smoothing, dtype)
    else:
        levels = _by_transform(planes, radius, smoothing)
    return truncate_levels(levels).view(images.shape)


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


def _by_taps(planes: Tensor, kernel: Kernel, dtype: torch.dtype) -> Tensor:
    """Grey levels [P, H, W] of bytes [P, H, W]: one tap after the other."""
    reach = len(kernel) // 2
    levels = _offset(planes, kernel, dtype)
    _add_taps(levels, _mirrored(planes, reach, torch.int16), _quadrant(kernel.astype(np.float64)), reach)
    return levels


def _by_strips(planes: Tensor, radius: float, smoothing: float, dtype: torch.dtype) -> Tensor:
    """The same by sums over the disk, which are then smoothed."""
    kernel, line = defocus_kernel(radius, smoothing), np.array(gaussian_taps(smoothing, _grid(radius)[1]))
    line = line[line > 1e-12 * line[0]]
    disk = tuple(math.isqrt(int(radius**2 - column**2)) for column in range(int(radius) + 1))
    area = sum((2 * half + 1) * (2 if column else 1) for column, half in enumerate(disk))
    weight = float(kernel.astype(np.float64).sum()) / (area * (2 * line.sum() - line[0]) ** 2)
    reach = len(disk) + len(line) - 2
    # Twice the sum over the disk must fit as well: it appears when strips or neighbours are added.
    x = _mirrored(planes, reach, torch.int16 if 2 * area * _MIDDLE < 2**15 else torch.int32)
    smoothed = _smoothed(_disk_sums(x, disk), tuple((line * math.sqrt(weight)).tolist()), dtype)
    return _offset(planes, kernel, dtype).add_(smoothed)


def _by_transform(planes: Tensor, radius: float, smoothing: float) -> Tensor:
    """The same as a product of Fourier transforms, in float64: what wraps around stays in the mirrored margin."""
    kernel = defocus_kernel(radius, smoothing)
    reach = len(kernel) // 2
    x = _mirrored(planes, reach, torch.float64)
    size = [next_fast_len(length, real=True) for length in x.shape[1:]]
    spectrum = torch.fft.rfft2(x, s=size).mul_(_spectrum(radius, smoothing, tuple(size), x.device))
    blurred = torch.fft.irfft2(spectrum, s=size)
    inside = blurred[:, reach : reach + planes.shape[1], reach : reach + planes.shape[2]]
    return _offset(planes, kernel, torch.float64).add_(inside)


def _offset(planes: Tensor, kernel: Kernel, dtype: torch.dtype) -> Tensor:
    """What the middle of the bytes becomes, [P, H, W]."""
    level = _MIDDLE * float(kernel.astype(np.float64).sum()) + _NUDGE
    return torch.full(planes.shape, level, dtype=dtype, device=planes.device)


@lru_cache(maxsize=16)
def _spectrum(radius: float, smoothing: float, size: tuple[int, ...], device: torch.device) -> Tensor:
    """The transform of the kernel around the origin, complex128 [H, W // 2 + 1]."""
    kernel = torch.from_numpy(defocus_kernel(radius, smoothing).astype(np.float64)).to(device)
    reach = len(kernel) // 2
    room = torch.zeros(size, dtype=torch.float64, device=device)
    room[: len(kernel), : len(kernel)] = kernel
    transform: Tensor = torch.fft.rfft2(room.roll((-reach, -reach), dims=(0, 1)))
    return transform


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
