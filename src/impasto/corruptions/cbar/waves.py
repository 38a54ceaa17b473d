"""Noise of -C-bar in closed form, a sum of few sines per pixel: one frequency, saw-tooth rings, and plasma.

Mintun, Kirillov and Xie, NeurIPS 2021. Where the argument of a sine is a sum of a term of the row and one of the
column, it is expanded by the addition theorem: sines of the sides replace those of the pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import add_noise, mean_side
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.pixels import truncate_levels

_TURN = 2 * math.pi
_MOST_ITERATIONS = 6  # of plasma


class PlaneWave(NamedTuple):
    """A wave sin(x * frequencies[0] + y * frequencies[1] + phase), y the row and x the column.

    Attributes:
        frequencies: float64 [B, 2], in radians per pixel.
        phases: float64 [B], in radians.
    """

    frequencies: Tensor
    phases: Tensor


def draw_plane_wave(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> PlaneWave:
    """One frequency U(-pi, pi), the other U(-1, 1) of its magnitude, either first; phase U(0, 2 pi)."""
    uniforms = rng.uniforms(4)
    one = (uniforms[:, 0] * 2 - 1) * math.pi
    pair = torch.stack((one, (uniforms[:, 1] * 2 - 1) * one.abs()), dim=1)
    return PlaneWave(torch.where(uniforms[:, 2:3] < 0.5, pair, pair.flip(1)), uniforms[:, 3] * _TURN)


@corruption(draw=draw_plane_wave)
def single_frequency_greyscale(images: Tensor, wave: PlaneWave, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Add a plane wave of amplitude 19.6 severity grey levels, the same to all channels."""
    y, x = _axes(images, dtype)
    frequencies = wave.frequencies.to(dtype)
    noise = _sine_of_sum(y * frequencies[:, 1:], x * frequencies[:, :1] + wave.phases.to(dtype)[:, None])
    return add_noise(images, noise.mul_(severity * 196 / 10)[:, None])


class Rings(NamedTuple):
    """Wavy rings about a centre.

    Attributes:
        centres: float64 [B, 2], column and row in pixels.
        lobes: float64 [B], waves per turn.
        amplitudes: float64 [B], of the waves, in pixels.
        widths: float64 [B], of a ring, in pixels.
    """

    centres: Tensor
    lobes: Tensor
    amplitudes: Tensor
    widths: Tensor


def draw_rings(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Rings:
    """Centre anywhere, U(0, 10) lobes, amplitude and width U(0, S / 10)."""
    uniforms, tenth = rng.uniforms(5), mean_side(size) / 10
    centres = uniforms[:, :2] * torch.tensor((size[1], size[0]), device=rng.ids.device)
    return Rings(centres, uniforms[:, 2] * 10, uniforms[:, 3] * tenth, uniforms[:, 4] * tenth)


@corruption(draw=draw_rings)
def cocentric_sine_waves(images: Tensor, rings: Rings, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Add saw-tooth rings from -6.4 to 6.4 severity grey levels, the same to all channels."""
    centres, lobes, amplitudes, widths = (each.to(dtype) for each in rings)
    y, x = _axes(images, dtype)
    down, right = (y - centres[:, 1:])[:, :, None], (x - centres[:, :1])[:, None, :]
    wave = torch.atan2(right, down).mul_(lobes[:, None, None]).sin_().mul_(amplitudes[:, None, None])
    place = (down.square() + right.square()).sqrt_().add_(wave).div_(widths[:, None, None])
    place -= place.floor()
    return add_noise(images, place.sub_(0.5).mul_(severity * 128 / 10)[:, None])


class Plasma(NamedTuple):
    """An iterated warp by sines, float64 [B] each but for the iterations, int64 [B]."""

    times: Tensor
    iterations: Tensor
    sharpness: Tensor
    scales: Tensor


def draw_plasma(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Plasma:
    """Time U(0, 6 pi), 4 to 6 iterations, sharpness U(.5, 1), scale U(.075, .2) S pixels."""
    uniforms = rng.uniforms(4)
    iterations = (uniforms[:, 1] * 3).long() + 4
    scales = (uniforms[:, 3] * 0.125 + 0.075) * mean_side(size)
    return Plasma(uniforms[:, 0] * (6 * math.pi), iterations, uniforms[:, 2] * 0.5 + 0.5, scales)


@corruption(draw=draw_plasma)
def plasma_noise(images: Tensor, plasma: Plasma, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Blend with coloured plasma in [-1, 1]: (1 - i / 255) x + i plasma, i = 6.4 severity."""
    intensity = severity * 64 / 10
    order = plasma.iterations.argsort(descending=True)
    colours = _plasma(Plasma(*(each[order] for each in plasma)), images, dtype).mul_(intensity)
    blended = truncate_levels(colours.add_(images[order].to(dtype).mul_(1 - intensity / 255)))
    return torch.empty_like(images).index_copy_(0, order, blended)


def _plasma(plasma: Plasma, images: Tensor, dtype: torch.dtype) -> Tensor:
    """Plasma [B, 3, H, W] in [-1, 1]; the images are in the order of falling iterations.

    Each iteration adds (p - .3 q, q + .3 p) to (x, y) for p = cos(c y + t / e) / d, q = sin(c x + t / e) / d, where
    c, e and d grow by 1.93, 1.15 and 2.25 - sharpness. Positions stay a sum over row and column until the second
    iteration has added to them.
    """
    time, sharpness, scale = (each.to(dtype)[:, None] for each in (plasma.times, plasma.sharpness, plasma.scales))
    row, column = (each / scale for each in _axes(images, dtype))
    damping = 2.25 - sharpness
    p, q = torch.cos(row + time), torch.sin(column + time)
    x_row, x_column, y_row, y_column = p, column - q * 0.3, row + p * 0.3, q
    shift = time / 1.15
    p = _sine_of_sum(y_row * 1.93 + shift + math.pi / 2, y_column * 1.93).div_(damping[:, :, None])
    q = _sine_of_sum(x_row * 1.93 + shift, x_column * 1.93).div_(damping[:, :, None])
    x = (x_row[:, :, None] + x_column[:, None, :]).add_(p).sub_(q, alpha=0.3)
    y = (y_row[:, :, None] + y_column[:, None, :]).add_(q).add_(p, alpha=0.3)
    for step in range(2, _MOST_ITERATIONS):
        active = int((plasma.iterations > step).sum())
        shift, weight = (each[:active, :, None] for each in (time / 1.15**step, damping**-step))
        x_now, y_now = x[:active], y[:active]
        p = (y_now * 1.93**step).add_(shift).cos_().mul_(weight)
        q = (x_now * 1.93**step).add_(shift).sin_().mul_(weight)
        x_now.add_(p).sub_(q, alpha=0.3)
        y_now.add_(q).add_(p, alpha=0.3)
    time = time[:, :, None]
    colours = (x - time, (x + y).add_(time.sin()).mul_(0.5), y + time)
    return torch.stack(colours, dim=1).sin_()


def _axes(images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The numbers of the rows and of the columns."""
    rows, columns = (torch.arange(n, device=images.device, dtype=dtype) for n in images.shape[2:])
    return rows, columns


def _sine_of_sum(row: Tensor, column: Tensor) -> Tensor:
    """sin(row + column) for each pixel, [B, H, W] from [B, H] and [B, W]."""
    first = row.sin()[:, :, None] * column.cos()[:, None, :]
    return first.add_(row.cos()[:, :, None] * column.sin()[:, None, :])
