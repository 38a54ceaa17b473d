"""Warps of -C-bar, resampled bilinearly with zeros outside the image: ripple, and pinch and twirl.

Mintun, Kirillov and Xie, NeurIPS 2021.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import pad

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import mean_side
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.exact import Array, sparse_on_grid
from impasto.corruptions.pixels import truncate_levels

_PIXELS = 2**15  # per step on the CPU, whose cache then holds the patches
_MANY = 4  # images, from which it pays to bring the batch to the end
_LARGE = 224  # px from which an image has 5 x 5 whirls rather than 3 x 3


class Waves(NamedTuple):
    """Waves that shift rows (first) and columns (second), float64 [B, 2] each.

    Attributes:
        lengths: in pixels.
        phases: in radians.
    """

    lengths: Tensor
    phases: Tensor


def draw_waves(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Waves:
    """Lengths U(.1, .3) S and phases U(0, 2 pi)."""
    uniforms = rng.uniforms(4)
    return Waves((uniforms[:, :2] * 0.2 + 0.1) * mean_side(size), uniforms[:, 2:] * (2 * math.pi))


@corruption(draw=draw_waves)
def ripple(images: Tensor, waves: Waves, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Read each pixel from row + A sin(2 pi row / length + phase), and the same in columns; A = .0025 severity S."""
    batch, channels, height, width = images.shape
    amplitude = severity * 0.025 / 10 * mean_side((height, width))
    down, right = (_sway(waves, axis, side, amplitude, dtype) for axis, side in enumerate((height, width)))
    # Lines that are interpolated lie in memory as rows, so a line is copied at a time.
    columns = images.permute(0, 3, 1, 2).reshape(batch * width, channels * height)
    x = _between(columns, *right).view(batch, width, channels, height)
    x = _between(x.permute(0, 3, 2, 1).reshape(batch * height, channels * width), *down)
    return truncate_levels(x).view(batch, height, channels, width).transpose(1, 2).contiguous()


def _sway(waves: Waves, axis: int, side: int, amplitude: float, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Where the positions of an axis are read: two lines of the flattened batch and their weights, [B side] each."""
    place = torch.arange(side, device=waves.lengths.device, dtype=dtype)
    length, phase = (each[:, axis : axis + 1].to(dtype) for each in waves)
    source = (2 * math.pi * place).div(length).add_(phase).sin_().mul_(amplitude).add_(place)
    first = source.floor()
    second = first + 1
    weights = (1 - source + first) * _inside(first, side), (1 - second + source) * _inside(second, side)
    start = torch.arange(len(length), device=length.device)[:, None] * side
    lines = (each.clamp(0, side - 1).to(torch.int64).add_(start).view(-1) for each in (first, second))
    return *lines, *(weight.view(-1, 1) for weight in weights)


def _inside(position: Tensor, side: int) -> Tensor:
    return ((position >= 0) & (position < side)).to(position.dtype)


def _between(lines: Tensor, first: Tensor, second: Tensor, by_first: Tensor, by_second: Tensor) -> Tensor:
    """Interpolate between pairs of lines."""
    near = lines.index_select(0, first).to(by_first.dtype).mul_(by_first)
    return near.add_(lines.index_select(0, second).to(by_second.dtype).mul_(by_second))


def cells(size: tuple[int, int]) -> tuple[int, int, int]:
    """Side of the whirls in pixels, and how many there are per column and row of an image of (height, width)."""
    shorter = min(size)
    side = shorter // (5 if shorter >= _LARGE else 3)
    return side, size[0] // side, size[1] // side


def draw_senses(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Whether each whirl turns backwards, bool [B, rows, columns]."""
    _, rows, columns = cells(size)
    return (rng.uniforms(rows * columns) < 0.5).view(-1, rows, columns)


@corruption(draw=draw_senses)
def pinch_and_twirl(images: Tensor, backwards: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Whirl each cell of a grid within its inscribed circle of radius R.

    At a distance d R from the middle a pixel is read from sin(pi / 2 d)**-(.04 severity + .1) as far out, turned by
    (1 - d)**2 severity pi / 20 in one sense or the other. Sums are exact in float64 whatever precision is asked for;
    as in the original they are rounded to float32 before they are truncated.
    """
    height, width = images.shape[2:]
    result = images.clone()
    few = max(1, _PIXELS // (height * width))
    for part, senses in zip(result.split(few), backwards.split(few), strict=True):
        _whirl(part, senses, _whirls(severity, cells((height, width))[0], images.device))
    return result


def _whirl(images: Tensor, backwards: Tensor, operator: Tensor) -> None:
    """Whirl the cells of [B, 3, H, W] in place."""
    batch, channels, height, width = images.shape
    side, rows, columns = cells((height, width))
    pixels = pad(images, (0, 1, 0, 1))
    order = [0, 1, 2, 3]  # of batch, channels, rows and columns of cells
    if batch >= _MANY:  # with the batch last they are copied run by run
        pixels, order = pixels.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1), [2, 3, 1, 0]
    patches = pixels.unfold(2, side + 1, side).unfold(3, side + 1, side).permute(4, 5, *order)
    x = operator @ patches.reshape((side + 1) ** 2, -1).double()
    forward, backward = x.float().to(torch.int32).to(torch.uint8).view(2, side * side, -1)
    back = backwards[:, None].expand(-1, channels, -1, -1).permute(order).reshape(-1)
    chosen = torch.where(back, backward, forward).view(side, side, *patches.shape[2:])
    b, c, i, j = (2 + order.index(axis) for axis in range(4))
    whirled = chosen.permute(b, c, i, 0, j, 1).reshape(batch, channels, rows * side, columns * side)
    images[:, :, : rows * side, : columns * side] = whirled


@lru_cache(maxsize=16)
def _whirls(severity: float, side: int, device: torch.device) -> Tensor:
    """From a cell of (side + 1)**2 pixels to one of side**2, forwards and then backwards: sparse float64.

    The last row and column belong to the neighbours. Turning backwards is turning forwards with the axes exchanged.
    """
    radius = side / 2
    down, right = np.meshgrid(np.arange(side) - radius, np.arange(side) - radius, indexing="ij")
    distance = np.sqrt(down**2 + right**2)
    moved = (distance <= radius) & (np.round(distance, 3) != 0)
    part = np.where(moved, distance / radius, 1)
    out = np.where(moved, np.sin(np.pi / 2 * part) ** -(severity * 0.4 / 10 + 0.1), 1)
    blocks = []
    for sense in (1, -1):
        angle = sense * severity * (np.pi / 2) / 10 * (1 - part) ** 2
        rows = radius + out * (down * np.cos(angle) - right * np.sin(angle))
        columns = radius + out * (down * np.sin(angle) + right * np.cos(angle))
        blocks.append(_bilinear(rows.ravel(), columns.ravel(), side + 1))
    return sparse_on_grid(sparse.csr_array(sparse.vstack(blocks)), 44, device)


def _bilinear(rows: Array, columns: Array, side: int) -> sparse.csr_array:
    """Weights of the four pixels around each position within a square of ``side`` pixels."""
    near_row, near_column = (np.clip(np.floor(each), 0, side - 2) for each in (rows, columns))
    down, right = rows - near_row, columns - near_column
    weights = np.stack(((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right), axis=1)
    near = (near_row * side + near_column).astype(np.int64)
    index = near[:, None] + np.array([0, 1, side, side + 1])
    starts = np.arange(0, index.size + 1, 4)
    return sparse.csr_array((weights.ravel(), index.ravel(), starts), shape=(len(rows), side * side))
