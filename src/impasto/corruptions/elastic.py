"""Elastic transform of -C: a random affine map, then a smooth random displacement of every pixel.

Hendrycks and Dietterich, ICLR 2019, section 4.1; the displacement is that of Simard, Steinkraus and Platt, "Best
practices for convolutional neural networks", ICDAR 2003. The official data were made with an OpenCV that rounds the
positions of an affine map to 1/32 pixel; OpenCV 5 interpolates at the exact positions, up to three grey levels away.
The default is the rounding: it is what the published numbers were measured on. With the same draws either equals
OpenCV but for one level in at most one value in 10,000.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.pixels import truncate, unit

_POSITION_BITS, _SUBPIXEL_BITS = 10, 5  # of the older OpenCV: it rounds positions to 2**-10, then to 2**-5 pixels
# Fields and weights are whole multiples of these steps, so that a sum of products stays below 2**53 and is exact.
_FIELD_STEP, _WEIGHT_STEP = 2.0**-25, 2.0**-27


class ElasticDraws(NamedTuple):
    """What :func:`elastic_transform` draws, all uniform in (-1, 1).

    Attributes:
        anchors: float64 [B, 3, 2], the shifts (x, y) of the three anchor points, in units of ``affine``.
        fields: float64 [B, 2, H, W], the displacements along x and along y before smoothing.
    """

    anchors: Tensor
    fields: Tensor


def draw_elastic(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> ElasticDraws:
    """Shifts of the anchors, and fields in steps of 2**-15."""
    anchors = rng.uniforms(6, lane=0).mul(2).sub_(1).view(-1, 3, 2)
    fields = rng.halves(2 * size[0] * size[1], lane=1).to(torch.float64)
    return ElasticDraws(anchors, fields.mul_(2.0**-15).sub_(1 - 2.0**-16).view(-1, 2, *size))


@corruption(draw=draw_elastic)
def elastic_transform(
    images: Tensor,
    draws: ElasticDraws,
    alpha: float,
    sigma: float,
    affine: float,
    *,
    dtype: torch.dtype,
    snap: bool = True,
) -> Tensor:
    """Move three anchors by up to ``affine`` pixels, then every pixel by ``alpha`` times a smoothed field.

    Both steps interpolate bilinearly; the first mirrors the image about its outermost pixels, the second about its
    edge. In between, values are float32, as in the benchmark.

    Args:
        images: uint8 [B, 3, H, W].
        draws: of B images of this size.
        alpha: factor of the smoothed fields, in pixels; 0 leaves out the second step.
        sigma: of the Gaussian that smooths them, cut at 3 sigma, in pixels.
        affine: largest shift of an anchor in x and y, in pixels. The anchors lie a third of the shorter side from the
            middle, at the lower right, the upper right and the upper left.
        dtype: of positions and interpolation.
        snap: round the positions of the affine map to 1/32 pixel, as OpenCV up to version 4 does; else they are exact.
    """
    size = (images.shape[2], images.shape[3])
    matrix, offset = _inverse_affine(draws.anchors * affine, size)
    if snap:
        warped = _warp_snapped(unit(images, torch.float32), matrix, offset)
    else:
        warped = _sample(unit(images, dtype), _affine_positions(matrix, offset, size), mirror_pixel=True).float()
    if alpha:
        positions = _smooth(draws.fields, sigma).mul_(alpha)
        positions[:, 0] += torch.arange(size[1], device=positions.device)
        positions[:, 1] += torch.arange(size[0], device=positions.device)[:, None]
        warped = _sample(warped.to(dtype), positions, mirror_pixel=False).float()
    return truncate(warped)


def _affine_positions(matrix: Tensor, offset: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel comes from: float64 [B, 2, H, W], x and y."""
    along, down = _affine_terms(matrix, offset, size)
    return down[..., None] + along[:, :, None]


def _affine_terms(matrix: Tensor, offset: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The parts of a position that depend on the column and on the row: float64 [B, 2, W] and [B, 2, H]."""
    columns = torch.arange(size[1], device=matrix.device)
    rows = torch.arange(size[0], device=matrix.device)
    return matrix[:, :, :1] * columns, matrix[:, :, 1:] * rows + offset[:, :, None]


def _warp_snapped(values: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """The affine map of OpenCV up to version 4 on float32 [B, 3, H, W], its order of sums included."""
    height, width = size = (values.shape[2], values.shape[3])
    along, down = ((each * 2**_POSITION_BITS).round_().int() for each in _affine_terms(matrix, offset, size))
    down += 2 ** (_POSITION_BITS - _SUBPIXEL_BITS - 1)
    position = (down[..., None] + along[:, :, None]).bitwise_right_shift_(_POSITION_BITS - _SUBPIXEL_BITS)
    fraction = position.bitwise_and(2**_SUBPIXEL_BITS - 1).float().mul_(2.0**-_SUBPIXEL_BITS)
    whole = position.bitwise_right_shift_(_SUBPIXEL_BITS).float()
    left, right = (_mirror(whole[:, 0] + step, width) for step in (0, 1))
    above, below = (_mirror(whole[:, 1] + step, height).mul_(width) for step in (0, 1))
    right_share, below_share = fraction[:, 0], fraction[:, 1]
    left_share, above_share = 1 - right_share, 1 - below_share
    total = _pick(values, above + left).mul_((above_share * left_share)[:, None])
    total += _pick(values, above + right).mul_((above_share * right_share)[:, None])
    total += _pick(values, below + left).mul_((below_share * left_share)[:, None])
    total += _pick(values, below + right).mul_((below_share * right_share)[:, None])
    return total


def _mirror(index: Tensor, side: int) -> Tensor:
    """Mirror whole numbers (float32) about 0 and ``side - 1`` into that range."""
    period = 2 * side - 2
    return index.sub_((index * (1 / period)).round_().mul_(period)).abs_()


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """The pixels of [B, 3, H, W] at flat indices, float32 [B, H, W]."""
    index = index.long().view(len(values), 1, -1)
    return values.flatten(2).gather(2, index.expand(-1, values.shape[1], -1)).view(values.shape)


def _inverse_affine(shifts: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The map from moved to original points: matrix [B, 2, 2] and offset [B, 2], float64, (x, y) as the last axis."""
    reach = min(size) // 3
    corner = torch.tensor([size[1] // 2 + reach, size[0] // 2 + reach], device=shifts.device)
    other = corner - 2 * reach
    anchors = torch.stack((corner, torch.stack((corner[0], other[1])), other))
    moved = (shifts.float() + anchors).double() - anchors  # the benchmark keeps points in float32
    lower_right, upper_right, upper_left = moved.unbind(1)
    change = torch.stack((upper_right - upper_left, lower_right - upper_right), dim=2).div_(2 * reach)
    offset = lower_right - change[:, :, 0] * corner[0] - change[:, :, 1] * corner[1]
    a, b, c, d = change[:, 0, 0] + 1, change[:, 0, 1], change[:, 1, 0], change[:, 1, 1] + 1
    inverse = torch.stack((d, -b, -c, a), dim=1).div_((a * d - b * c)[:, None]).view(-1, 2, 2)
    return inverse, -(inverse[:, :, 0] * offset[:, :1] + inverse[:, :, 1] * offset[:, 1:])


def _sample(values: Tensor, positions: Tensor, mirror_pixel: bool) -> Tensor:
    """Interpolate [B, 3, H, W] at positions [B, 2, H, W] in pixels, mirrored about the outer pixel or its edge."""
    grid = torch.empty(*positions.shape[:1], *positions.shape[2:], 2, dtype=values.dtype, device=values.device)
    for axis, side in enumerate((values.shape[3], values.shape[2])):
        span, first = (side - 1, 0) if mirror_pixel else (side, 1)
        torch.add(positions[:, axis], first / 2, out=positions[:, axis]).mul_(2 / span).sub_(1)
        grid[..., axis] = positions[:, axis]
    return functional.grid_sample(values, grid, padding_mode="reflection", align_corners=mirror_pixel)


def _smooth(fields: Tensor, sigma: float) -> Tensor:
    """Gaussian of ``sigma`` over fields [B, 2, H, W] in [-1, 1], exact to about 1e-8, mirrored about the edge.

    The matrix products add whole numbers below 2**53, so neither batch nor device changes their bits.
    """
    across = _smoothing(fields.shape[3], sigma, fields.device)
    down = _smoothing(fields.shape[2], sigma, fields.device)
    whole = (fields * (1 / _FIELD_STEP)).round_()
    whole = (whole @ across).mul_(_WEIGHT_STEP).round_()
    return (down.mT @ whole).mul_(_WEIGHT_STEP * _FIELD_STEP)


@lru_cache(maxsize=16)
def _smoothing(side: int, sigma: float, device: torch.device) -> Tensor:
    """The Gaussian as a matrix of whole numbers, float64 [side, side]; a column holds the weights of one position."""
    reach = int(3 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 / sigma**2 * offsets**2) / np.exp(-0.5 / sigma**2 * offsets**2).sum()
    sources = (np.arange(side) + offsets[:, None]) % (2 * side)
    sources = np.minimum(sources, 2 * side - 1 - sources)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (sources, np.broadcast_to(np.arange(side), sources.shape)), weights[:, None])
    return torch.from_numpy(np.round(matrix / _WEIGHT_STEP)).to(device)
