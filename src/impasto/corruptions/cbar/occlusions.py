"""Occlusions of -C-bar in middle grey: cells of a rotated checkerboard, and anti-aliased lines.

Mintun, Kirillov and Xie, NeurIPS 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import mean_side
from impasto.corruptions.counter_rng import CounterRng

_GREY = 128
_SMALLEST, _LARGEST = 0.1, 0.25  # cell of the checkerboard, in mean sides


class Board(NamedTuple):
    """A checkerboard per image.

    Attributes:
        angles: float64 [B], in radians; it turns about the first pixel.
        cells: float64 [B], side of a cell in pixels.
        chances: float [B, 2 r + 1, 2 r + 1] in [0, 1); [:, r + i, r + j] belongs to cell (i, j).
    """

    angles: Tensor
    cells: Tensor
    chances: Tensor


def draw_board(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Board:
    """Angle U(0, 2 pi), cells of U(.1, .25) S, and a chance for each cell that can lie in the image."""
    uniforms, side = rng.uniforms(2), mean_side(size)
    reach = int(math.hypot(size[0] - 1, size[1] - 1) / max(_SMALLEST * side, 1)) + 1
    cells = (uniforms[:, 1] * (_LARGEST - _SMALLEST) + _SMALLEST).mul_(side).clamp_min_(1)
    chances = rng.halves((2 * reach + 1) ** 2, lane=1).to(torch.float64).add_(0.5).mul_(2.0**-16)
    return Board(uniforms[:, 0] * (2 * math.pi), cells, chances.view(-1, 2 * reach + 1, 2 * reach + 1))


@corruption(draw=draw_board)
def checkerboard_cutout(images: Tensor, board: Board, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Grey the cells of even parity whose chance is below severity / 10.

    Parity is that of the floor of a pixel's position in cells, and the cell is found by truncation: the cells -1 and
    0 of an axis share one chance.
    """
    height, width = images.shape[2:]
    cut = _cut(board, severity / 10)
    y, x = (torch.arange(n, device=images.device, dtype=torch.float64) for n in (height, width))
    cosine, sine = (f(board.angles)[:, None] / board.cells[:, None] for f in (torch.cos, torch.sin))
    span, half = cut.shape[1], cut.shape[1] // 2
    first = (cosine * y)[:, :, None] + (sine * x + half)[:, None, :]
    second = (-sine * y)[:, :, None] + (cosine * x + half)[:, None, :]
    start = torch.arange(len(images), device=images.device, dtype=torch.int32)[:, None, None] * span**2
    place = first.to(torch.int32).mul_(span).add_(second.to(torch.int32)).add_(start)
    grey = cut.view(-1).index_select(0, place.view(-1)).view(-1, 1, height, width)
    return images.bitwise_and(grey - 1).bitwise_or_(grey * _GREY)


def _cut(board: Board, share: float) -> Tensor:
    """Whether a cell is grey, uint8 [B, 2 h, 2 h] by the floors of its position; [:, h, h] belongs to (0, 0)."""
    reach = board.chances.shape[1] // 2
    half = reach + 2 + reach % 2  # even, so that it keeps parity
    floor = torch.arange(-half, half, device=board.chances.device)
    cell = (floor + (floor < 0)).clamp_(-reach, reach).add_(reach)
    low = (board.chances < share).to(torch.uint8).index_select(1, cell).index_select(2, cell)
    even = (floor[:, None] - floor) % 2 == 0
    return low.mul_(even)


class Strokes(NamedTuple):
    """Lines in each image, n of them.

    Attributes:
        middles: float64 [B, n, 2], row and column in pixels.
        angles: float64 [B, n], in radians.
    """

    middles: Tensor
    angles: Tensor


def draw_strokes(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Strokes:
    """int(.1 severity S) lines, at least 1: random middles, a common angle plus 2 pi v U(-.5, .5), v from U(.1, 1)."""
    count = max(1, int(parameters[0] / 10 * mean_side(size)))
    uniforms = rng.uniforms(2 + 3 * count)
    common, variation, each = uniforms[:, :1], uniforms[:, 1:2] * 0.9 + 0.1, uniforms[:, 2:].view(-1, count, 3)
    angles = (common + variation * (each[..., 2] - 0.5)) * (2 * math.pi)
    return Strokes(each[..., :2] * torch.tensor(size, device=rng.ids.device), angles)


@corruption(draw=draw_strokes)
def lines(images: Tensor, strokes: Strokes, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Draw anti-aliased grey lines of length 2 S one over the other, truncated to bytes each time."""
    batch, channels, height, width = images.shape
    pixels, cover = _anti_aliased(strokes, (height, width), dtype)
    canvas = pad(images.view(batch, channels, -1), (0, 1))  # what falls outside the image is drawn on the last
    for k in range(pixels.shape[1]):
        index, c = pixels[:, k, None].expand(-1, channels, -1), cover[:, k, None]
        seen = canvas.gather(2, index).to(dtype).mul_(1 - c).add_(c * _GREY)
        canvas.scatter_(2, index, seen.to(torch.int32).to(torch.uint8))
    return canvas[..., :-1].reshape(images.shape)


def _anti_aliased(strokes: Strokes, size: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Which pixels each line touches, int64 [B, n, K], H W for none, and how much it covers of them.

    The algorithm of Zingl, "A rasterizing algorithm for drawing curves", 2012, solved for each position k along the
    longer axis: a line that advances a and b pixels is at m = floor((2 k + 1) b / 2 a) on the shorter axis, covers
    1 - |j a - k b| / sqrt(a**2 + b**2) of the pixel at j = m and that at m + 1, and that at m - 1 where it has just
    stepped.
    """
    reach = torch.stack((strokes.angles.cos(), strokes.angles.sin()), dim=-1).mul_(mean_side(size))
    start, end = ((strokes.middles + sign * reach).to(torch.int64) for sign in (-1, 1))
    step, sign = (end - start).abs(), torch.where(end > start, 1, -1)
    steep = (step[..., 0] > step[..., 1])[..., None]  # more rows than columns
    (a, b), (start_a, start_b), (sign_a, sign_b) = (
        torch.where(steep, pair, pair.flip(-1))[..., None].unbind(2) for pair in (step, start, sign)
    )
    along = torch.arange(max(size), device=step.device)
    k = (along - start_a).mul_(sign_a)
    m = ((2 * k + 1) * b).div(2 * a.clamp_min(1), rounding_mode="floor")
    stepped = ((2 * k - 1) * b).div(2 * a.clamp_min(1), rounding_mode="floor") < m
    j = torch.stack((m - 1, m, m + 1), dim=-1)
    off = (j * a[..., None] - (k * b)[..., None]).abs_()
    norm = (a * a + b * b).to(torch.float64).sqrt_()[..., None]
    across = start_b[..., None] + sign_b[..., None] * j
    longer, shorter = (torch.where(steep, *pair)[..., None] for pair in ((size[0], size[1]), (size[1], size[0])))
    drawn = (off < norm) & (along[:, None] < longer) & (across >= 0) & (across < shorter)
    drawn &= ((k >= 0) & (k <= a))[..., None]
    drawn[..., 0] &= stepped & (k >= 1)
    drawn[..., 2] &= k < a
    flat = torch.where(steep[..., None], along[:, None] * size[1] + across, across * size[1] + along[:, None])
    pixels = torch.where(drawn, flat, size[0] * size[1])
    cover = 1 - off.to(torch.float64) / norm.clamp_min(1)
    return pixels.flatten(2), cover.flatten(2).to(dtype)
