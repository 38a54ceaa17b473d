"""Perlin turbulence of -C-bar (Mintun, Kirillov and Xie, NeurIPS 2021; Perlin, "An image synthesizer", 1985)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import mean_side
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.exact import Array, sparse_on_grid, to_grid
from impasto.corruptions.pixels import truncate_levels

_OCTAVES = (1, 2, 4, 8, 16)
_GRID = 24  # bits of a gradient: the sums that it enters are exact
_DIRECTION_BITS = 6  # of each of its parts
_CELLS = 7  # of the coarsest octave along the mean side: 32 of 224 pixels each


class Lattice(NamedTuple):
    """The points of the lattice at which gradients enter, of all octaves, and what they contribute.

    Attributes:
        rows, columns: int64 [L] each.
        operator: sparse float64 [5 H W, 2 L], from gradients (all down, then all right) to the octaves.
    """

    rows: Tensor
    columns: Tensor
    operator: Tensor


def draw_gradients(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """A gradient for each point of :func:`lattice`, float64 [2, L, B]: down and right, multiples of 2**-24.

    The octaves share the lattice and its gradients, as in the original; that one looks them up among 256 by a hash,
    here each point has its own.
    """
    points = len(lattice(*size, rng.ids.device).rows)
    index = rng.halves(points).bitwise_right_shift(16 - 2 * _DIRECTION_BITS).t().reshape(-1)
    return _directions(rng.ids.device).index_select(1, index).view(2, points, -1)


@lru_cache(maxsize=4)
def _directions(device: torch.device) -> Tensor:
    """Points of a 64 x 64 grid over the square [-1, 1]**2, scaled to length 1: float64 [2, 2**12]."""
    side = 2**_DIRECTION_BITS
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    down, right = torch.meshgrid(place, place, indexing="ij")
    unit = (torch.stack((down, right)) / torch.hypot(down, right)).view(2, -1)
    return to_grid(unit, _GRID).to(device)


@corruption(draw=draw_gradients)
def perlin_noise(images: Tensor, gradients: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Blend with turbulence: (1 - a) x + 255 a clip(.5 sum_f |noise(f position)| / f + .5), a = .05 severity.

    Noise is computed in float64 by exact sums whatever precision is asked for.
    """
    height, width = images.shape[2:]
    alpha = severity * 0.5 / 10
    operator = lattice(height, width, images.device).operator
    octaves = operator @ gradients.reshape(len(gradients[0]) * 2, -1)
    turbulence = octaves.abs_().view(len(_OCTAVES), height * width, -1).sum(dim=0)
    haze = turbulence.mul_(0.5).add_(0.5).clamp_(0, 1).mul_(255 * alpha).t().contiguous().to(dtype)
    return truncate_levels(images.to(dtype).mul_(1 - alpha).add_(haze.view(-1, 1, height, width)))


@lru_cache(maxsize=6)
def lattice(height: int, width: int, device: torch.device) -> Lattice:
    """The lattice of an image; points whose weight is zero at every pixel are left out."""
    cell = mean_side((height, width)) / _CELLS
    reach = int(_OCTAVES[-1] * width / cell) + 2
    blocks = [_octave(octave, cell, height, width, reach) for octave in _OCTAVES]
    down, right = (sparse.vstack([block[part] for block in blocks]).tocsc() for part in (0, 1))
    used = np.flatnonzero(np.diff(down.indptr) + np.diff(right.indptr))
    operator = sparse.csr_array(sparse.hstack((down[:, used], right[:, used])))
    rows, columns = (torch.from_numpy(each).to(device) for each in np.divmod(used, reach))
    return Lattice(rows, columns, sparse_on_grid(operator, 50 - _GRID, device))


def _octave(octave: int, cell: float, height: int, width: int, reach: int) -> tuple[sparse.csr_array, ...]:
    """What the gradients contribute to one octave of 1.5 noise / f at each pixel, down and right."""
    (row, below, by_row), (column, beside, by_column) = (_corners(octave, cell, side) for side in (height, width))
    points = (row[:, None, :, None] * reach + column[None, :, None, :]).reshape(-1)
    weights = by_row[:, None, :, None] * by_column[None, :, None, :] * (1.5 / octave)
    shape = height * width, (int(_OCTAVES[-1] * height / cell) + 2) * reach
    parts = []
    for offset in (below[:, None, :, None], beside[None, :, None, :]):
        values = (weights * offset).reshape(-1)
        parts.append(sparse.csr_array((values, points.copy(), np.arange(0, len(values) + 1, 4)), shape=shape))
        parts[-1].eliminate_zeros()
    return tuple(parts)


def _corners(octave: int, cell: float, side: int) -> tuple[NDArray[np.int64], Array, Array]:
    """The two lattice lines beside each pixel of an axis, the offsets from them and their weights, [side, 2] each."""
    origin = 16 * 256  # of the original; large, it rounds positions onto lattice lines
    place = np.arange(side) * (1 / cell) * octave + origin
    near = np.floor(place)
    offset = place - near
    blend = offset**2 * (3 - 2 * offset)
    lines = near.astype(np.int64)[:, None] - origin + np.array([0, 1])
    return lines, offset[:, None] - np.array([0, 1]), np.stack((1 - blend, blend), axis=1)
