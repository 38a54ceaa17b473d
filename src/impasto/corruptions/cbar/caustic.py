"""Refraction of -C-bar by a surface of water, whose caustics give both the slope of the surface and the light.

Mintun, Kirillov and Xie, NeurIPS 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from impasto.corruptions.blur import smooth
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import mean_side
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.pixels import truncate

_WARPS = 5
_TURN = 6.28318530718  # as the original has it
_ORIGIN = -250.0
_NEAR_ORIGIN = _ORIGIN + 80 * math.pi  # the same angle; sines of small ones are faster
_INTENSITY = 0.005
_STRAIGHT = 1 - 1e-3  # cosine of the slope from which on light passes without refraction
_ETA = 4.0


class Water(NamedTuple):
    """A surface of water per image, float64 [B] each.

    Attributes:
        times: of its motion.
        scales: pixels until the pattern repeats.
    """

    times: Tensor
    scales: Tensor


def draw_water(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Water:
    """Time U(.5, 2), scale U(.75, 1.25) S."""
    uniforms = rng.uniforms(2)
    return Water(uniforms[:, 0] * 1.5 + 0.5, (uniforms[:, 1] * 0.5 + 0.75) * mean_side(size))


@corruption(draw=draw_water)
def caustic_refraction(images: Tensor, water: Water, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Read each pixel from where light would come through the surface, and light it by the surface's slope.

    The reach of the refraction is .05 severity S pixels, rounded to thousandths; slopes add .2 severity times their
    difference.
    """
    height, width = images.shape[2:]
    surface = caustics(water, (height, width), dtype)[..., None]
    surface = pad(smooth(surface, 1.0, "symmetric")[..., 0], (1, 1, 1, 1))
    down = surface[:, 2:, 1:-1] - surface[:, :-2, 1:-1]
    right = surface[:, 1:-1, 2:] - surface[:, 1:-1, :-2]
    light = (down - right).mul_(severity * 2 / 10)
    refracted = _refraction(down, right).mul_(severity * 0.5 / 10 * mean_side((height, width)))
    rows, columns = (torch.arange(n, device=images.device, dtype=dtype) for n in (height, width))
    rows = _thousandths(down.mul_(refracted)).add_(rows[:, None])
    columns = _thousandths(right.mul_(refracted)).add_(columns)
    return truncate(_bilinear(images, rows, columns).add_(light[:, None]))


def caustics(water: Water, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """The light that a moving surface throws on the ground, [B, H, W] in [0, 1].

    A point p is warped five times, i = p + (cos(t - i_0) + sin(t + i_1), sin(t - i_1) + cos(t + i_0)), and each time
    adds the inverse of a length. Sines of i and t are taken apart by the addition theorem: those of one warp serve
    the next, and those of the first come from rows and columns.
    """
    time, scale = (each.to(dtype)[:, None] for each in water)
    turns = [(torch.arange(n, device=time.device, dtype=dtype) / scale).frac_().mul_(_TURN) for n in size]
    down, right = turns[0][:, :, None], turns[1][:, None, :]
    row, column = down + _ORIGIN, right + _ORIGIN
    down, right = down + _NEAR_ORIGIN, right + _NEAR_ORIGIN
    s0, c0, s1, c1 = down.sin(), down.cos(), right.sin(), right.cos()
    total: Tensor | float = 1.0
    for warp in range(_WARPS):
        t = (time * (1.0 - 3.5 / (warp + 1)))[:, :, None]
        st, ct = t.sin(), t.cos()
        first = down + torch.addcmul(s0 * st, c0, ct), torch.addcmul(c1 * st, s1, ct)
        second = torch.addcmul(c0 * ct, s0, st, value=-1), right + torch.addcmul(c1 * st, s1, ct, value=-1)
        if warp == 0:
            s0, c0, s1, c1 = *_of_sum(*first), *_of_sum(*second)
        else:
            i0, i1 = first[0] + first[1], second[0] + second[1]
            s0, c0, s1, c1 = i0.sin(), i0.cos(), i1.sin(), i1.cos()
        sine, cosine = torch.addcmul(s0 * ct, c0, st), torch.addcmul(c1 * ct, s1, st, value=-1)
        square = (row * cosine).square_().add_((column * sine).square_())
        total = sine.mul_(cosine).abs_().mul_(square.rsqrt_()).mul_(1 / _INTENSITY).add_(total)
    assert isinstance(total, Tensor)
    bright = total.div_(_WARPS).pow_(1.4).neg_().add_(1.17)
    return bright.square_().square_().square_().clamp_(0, 1)


def _of_sum(row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of row + column, [B, H, W] from [B, H, 1] and [B, 1, W]."""
    s0, c0, s1, c1 = row.sin(), row.cos(), column.sin(), column.cos()
    return torch.addcmul(s0 * c1, c0, s1), torch.addcmul(c0 * c1, s0, s1, value=-1)


def _refraction(down: Tensor, right: Tensor) -> Tensor:
    """By how much of the slope a vertical ray is displaced where it is refracted by a surface of that slope.

    The normal n is (down, right, 1) / l and Snell's law gives the refracted direction cos(o) n + sin(o) m with m
    perpendicular to n and sin(o) the sine of the incidence divided by eta. The part of it along the slope is
    (cos(o) - cos(incidence) / eta) / l.
    """
    cosine = (down.square() + right.square()).add_(1).rsqrt_()
    flat = cosine >= _STRAIGHT
    inner = (1 - (1 - cosine.square()).mul_(_ETA**-2)).sqrt_()
    return inner.sub_(cosine, alpha=1 / _ETA).mul_(cosine).masked_fill_(flat, 0)


def _thousandths(values: Tensor) -> Tensor:
    return values.mul_(1000).round_().div_(1000)


def _bilinear(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values in [0, 1] at positions [B, H, W], zero outside the image; levels / 255 are float32, as in the original."""
    batch, _, height, width = images.shape
    levels = pad((images.float() / 255).to(rows.dtype), (1, 1, 1, 1)).view(batch, 3, -1)
    top, left = rows.floor(), columns.floor()
    below, beside = (rows - top)[:, None], (columns - left)[:, None]
    (upper, lower), (first, second) = (
        [(start + step).clamp_(-1, side).to(torch.int64) + 1 for step in (0, 1)]
        for start, side in ((top, height), (left, width))
    )
    corner = [
        levels.gather(2, (row * (width + 2) + column).view(batch, 1, -1).expand(-1, 3, -1)).view(images.shape)
        for row in (upper, lower)
        for column in (first, second)
    ]
    near = corner[0].mul_(1 - beside).add_(corner[1].mul_(beside))
    far = corner[2].mul_(1 - beside).add_(corner[3].mul_(beside))
    return near.mul_(1 - below).add_(far.mul_(below))
