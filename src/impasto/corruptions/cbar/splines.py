"""Cubic-spline corruptions of -C-bar, as fixed linear operators: blur by rotation, and colour fringes by zoom.

Mintun, Kirillov and Xie, NeurIPS 2021; resampling is that of scipy.ndimage.rotate and zoom (order 3, zero outside).
Both work in float64 whatever precision is asked for: their sums are exact (see :mod:`impasto.corruptions.exact`).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import spline_filter1d
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.exact import Array, on_grid, sparse_on_grid, to_grid
from impasto.corruptions.pixels import truncate_levels

_ROTATIONS = 21
_LIFT = 2.0**-14  # above the rounding of the weights: what should land on a grey level does not fall below it
_COLUMNS = 96  # of a sparse product at once: its operand stays in the cache
_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@corruption()
def circular_motion_blur(images: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """The mean of 21 rotations by 1.5 severity u degrees, u from -1 to 1, weighted by exp(-2 u**2)."""
    height, width = images.shape[2:]
    operator = _rotations(severity * 15 / 10, height, width, images.device)
    vertical, horizontal = (_prefilter(side, images.device) for side in (height, width))
    planes = images.view(-1, height * width)
    result = torch.empty_like(planes)
    for part, blurred in zip(planes.split(_COLUMNS), result.split(_COLUMNS), strict=True):
        x = vertical @ part.t().contiguous().double().view(height, -1)
        x = to_grid(horizontal @ x.view(height, width, -1), 16).view(height * width, -1)
        x = (operator @ x).add_(_LIFT)
        blurred.copy_(truncate_levels(x).t())
    return result.view(images.shape)


@lru_cache(maxsize=8)
def _prefilter(side: int, device: torch.device) -> Tensor:
    """From the values along an axis to the coefficients of their cubic spline, float64 [side, side]."""
    inverse = spline_filter1d(np.eye(side), order=3, axis=0, mode="mirror")
    return torch.from_numpy(on_grid(inverse, 20)).to(device)


@lru_cache(maxsize=6)
def _rotations(largest: float, height: int, width: int, device: torch.device) -> Tensor:
    """From spline coefficients to the blurred image: sparse float64 [H W, H W]."""
    steps = np.linspace(-1, 1, _ROTATIONS)
    weights = np.exp(-2 * steps**2)
    total = sparse.csr_array((height * width, height * width))
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        total = total + _rotation(step * largest, height, width) * weight
    return sparse_on_grid(total, 25, device)


def _rotation(degrees: float, height: int, width: int) -> sparse.csr_array:
    """Evaluate a cubic spline on the grid turned about its middle; zero where that leaves the image."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y, x = (np.arange(n) - (n - 1) / 2 for n in (height, width))
    rows = (cosine * y[:, None] + sine * x + (height - 1) / 2).ravel()
    columns = (-sine * y[:, None] + cosine * x + (width - 1) / 2).ravel()
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    (row, by_row), (column, by_column) = _taps(rows, height), _taps(columns, width)
    indices = (row[:, :, None] * width + column[:, None, :]).reshape(-1)
    weights = (by_row[:, :, None] * by_column[:, None, :] * inside[:, None, None]).reshape(-1)
    starts = np.arange(0, len(indices) + 1, 16)
    return sparse.csr_array((weights, indices, starts), shape=(height * width, height * width))


def _taps(positions: Array, side: int) -> tuple[NDArray[np.int64], Array]:
    """The four coefficients of a cubic B-spline around each position, mirrored at the ends, and their weights."""
    first = np.floor(positions)
    y = positions - first
    z = 1 - y
    inner = [(t * t * (t - 2) * 3 + 4) / 6 for t in (y, z)]
    weights = np.stack((z**3 / 6, *inner, 1 - z**3 / 6 - inner[0] - inner[1]), axis=1)
    index = np.abs(first.astype(np.int64)[:, None] + np.arange(-1, 3)) % (2 * side - 2)
    return np.minimum(index, 2 * side - 2 - index), weights


def draw_scales(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Which of the three scales each channel takes, a permutation of 0, 1, 2 in int64 [B, 3]."""
    orders = torch.tensor(_PERMUTATIONS, device=rng.ids.device)
    return orders[(rng.uniforms(1)[:, 0] * len(_PERMUTATIONS)).long()]


@corruption(draw=draw_scales)
def transverse_chromatic_abberation(images: Tensor, scales: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Zoom the channels by 1, 1 + s / 2 and 1 + s with s = .05 severity, in random order, about the middle.

    Coefficients of the spline are the pixels themselves, without a prefilter: each zoom smooths, that by 1 too.
    """
    height, width = images.shape[2:]
    planes = images.view(-1, height, width)
    result = torch.empty_like(planes)
    of_scale = scales.argsort(dim=1) + torch.arange(len(images), device=images.device)[:, None] * 3
    for step, chosen in enumerate(of_scale.unbind(1)):
        scale = 1 + severity * 0.5 / 10 * step / 2
        vertical, horizontal = _zoom(scale, height, 25, images.device), _zoom(scale, width, 20, images.device).t()
        x = planes.index_select(0, chosen).double().view(-1, width) @ horizontal
        x = vertical @ x.view(-1, height, width)
        result.index_copy_(0, chosen, x.add_(0.5 + _LIFT).to(torch.int32).to(torch.uint8))
    return result.view(images.shape)


@lru_cache(maxsize=32)
def _zoom(scale: float, side: int, bits: int, device: torch.device) -> Tensor:
    """The middle of an axis enlarged to round(side scale) positions, ends on ends, float64 [side, side]."""
    enlarged = round(side * scale)
    first = (enlarged - side) // 2
    index, weights = _taps(np.arange(first, first + side, dtype=np.float64) * (side - 1) / (enlarged - 1), side)
    operator = np.zeros((side, side))
    np.add.at(operator, (np.arange(side)[:, None], index), weights)
    return torch.from_numpy(on_grid(operator, bits)).to(device)
