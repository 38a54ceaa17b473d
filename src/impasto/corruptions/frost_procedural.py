"""A substitute for ``frost`` that needs no photographs: textures made from noise with the photographs' statistics.

It is this package's own: its severities match those of ``frost`` in mean PSNR, but its results are not those of the
benchmark and are to be reported under its own name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from impasto import rng as streams
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.frost import blend
from impasto.corruptions.frost_bank import Bank
from impasto.corruptions.pixels import truncate_levels

_CROP = 160  # pixels of a photograph that an image covers, for which the statistics hold
_TEXELS = 40 * 128  # textures of a bank times their side


@dataclass(frozen=True)
class Ice:
    """Statistics of one kind of frosted glass, in grey levels.

    Attributes:
        share: fifths of the bank.
        mean: of red, green and blue.
        across: standard deviation of the mean grey of a crop.
        within: standard deviation of the grey inside a crop.
        slopes: exponent of the power spectrum within a crop, at scales .2 and 1.
        main: how much red, green and blue follow the grey.
        tint: how much they follow a second pattern, independent of the grey.
    """

    share: int
    mean: tuple[float, float, float]
    across: float
    within: float
    slopes: tuple[float, float]
    main: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)


ICES = (
    Ice(1, (79, 150, 167), 11.5, 14.4, (-1.1, -1.5), main=(1.2, 0.9, 0.82), tint=(0.84, 0.0, -0.3)),
    Ice(2, (200, 204, 213), 9.0, 18.1, (-0.75, -1.9), main=(-1.0, -1.0, -1.0)),
    Ice(1, (146, 161, 173), 10.4, 26.2, (-0.4, -1.5)),
    Ice(1, (106, 117, 129), 16.4, 34.1, (-1.05, -1.8)),
)
"""Measured on the photographs of -C; the second kind stands for two equal ones."""


def draw_frost_procedural(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Which texture, top row and left column: int64 [B, 3]."""
    return bank(parameters[2], size, rng.ids.device).draw(rng)


@corruption(draw=draw_frost_procedural)
def frost_procedural(
    images: Tensor, places: Tensor, image: float, ice: float, scale: float, *, dtype: torch.dtype
) -> Tensor:
    """``image`` times the image plus ``ice`` times a crop of a texture as fine as a photograph at ``scale``."""
    crops = bank(scale, (images.shape[2], images.shape[3]), images.device).crops(places)
    return blend(images, crops, image, ice, dtype)


@lru_cache(maxsize=8)
def bank(scale: float, size: tuple[int, int], device: torch.device) -> Bank:
    """Periodic textures, continued by one crop of ``size`` so that crops can start anywhere."""
    pictures = textures(scale)
    side = pictures.shape[2]
    rows, columns = (torch.arange(side + each) % side for each in size)
    pictures = pictures[:, :, rows][..., columns].to(device)
    heights, widths = (torch.full((len(pictures),), side + each, device=device) for each in size)
    return Bank(pictures, heights, widths, size)


@lru_cache(maxsize=4)
def textures(scale: float) -> Tensor:
    """The textures for photographs at ``scale``, uint8 [N, 3, S, S] on the CPU, periodic in both directions.

    They are the same in every process: their noise is counted, not drawn. S is a power of two, at least three crops.
    """
    crop = _CROP * scale
    side = 2 ** math.ceil(math.log2(3 * crop))
    copies = max(1, _TEXELS // (5 * side))
    made, start = [], 0
    for ice in ICES:
        count = copies * ice.share
        made.append(_freeze(ice, scale, side, torch.arange(start, start + count)))
        start += count
    return torch.cat(made)


def _freeze(ice: Ice, scale: float, side: int, ids: Tensor) -> Tensor:
    """Textures of one kind, uint8 [N, 3, S, S]."""
    amplitude = _amplitudes(ice, scale, side)
    main, tint = (_pattern(amplitude, CounterRng(streams.key(0, "frost", lane), ids)) for lane in ("main", "tint"))
    colour = torch.tensor((ice.mean, ice.main, ice.tint), dtype=torch.float64)[:, None, :, None, None]
    values = colour[0] + colour[1] * main[:, None] + colour[2] * tint[:, None]
    return truncate_levels(values)


def _amplitudes(ice: Ice, scale: float, side: int) -> Tensor:
    """Fourier amplitudes [S, S // 2 + 1] of a pattern with the statistics of ``ice``: a power law in two pieces.

    Below .6 cycles per crop the power is scaled by another factor than above. The variance of crop means and the
    variance inside crops are both linear in the two factors, which follow from them.
    """
    rows, columns = torch.fft.fftfreq(side).double()[:, None], torch.fft.rfftfreq(side).double()
    radius = torch.hypot(rows, columns)
    radius[0, 0] = 1
    crop = _CROP * scale
    slope = ice.slopes[0] + (ice.slopes[1] - ice.slopes[0]) * math.log(scale / 0.2) / math.log(5)
    power = radius**slope
    power[0, 0] = 0
    seen = (torch.sinc(rows * crop) * torch.sinc(columns * crop)).square()  # part of the power in crop means
    twice = torch.full_like(columns, 2.0)  # a column of the half spectrum stands for its mirror image too
    twice[0], twice[-1] = 1.0, 1.0
    coarse = radius < 0.6 / crop
    parts = [(power * twice * where * part).sum() for part in (seen, 1 - seen) for where in (coarse, ~coarse)]
    system, wanted = torch.stack(parts).view(2, 2), torch.tensor([ice.across**2, ice.within**2], dtype=torch.float64)
    factors = torch.linalg.solve(system, wanted).clamp_(min=0)
    return (power * torch.where(coarse, factors[0], factors[1])).sqrt_().mul_(side * side)


def _pattern(amplitude: Tensor, rng: CounterRng) -> Tensor:
    """Patterns with the given amplitudes and the phases of ridges and noise, float64 [N, S, S]."""
    side = amplitude.shape[0]
    noise = [torch.fft.rfft2(rng.normals(side * side, lane).double().view(-1, side, side)) for lane in range(3)]
    ridges = torch.fft.rfft2(_ridges(noise[0], 7.0, 2.0) + _ridges(noise[1], 16.0, 0.4))
    direction = ridges / ridges.abs().clamp_(min=1e-9) + 0.5 * noise[2] / noise[2].abs().clamp_(min=1e-9)
    pattern: Tensor = torch.fft.irfft2(direction / direction.abs().clamp_(min=1e-9) * amplitude, s=(side, side))
    return pattern


def _ridges(noise: Tensor, waves: float, stretch: float) -> Tensor:
    """Bright needles along the zeros of smooth noise, ``stretch`` times as high as wide, about ``waves`` per side."""
    side = noise.shape[1]
    rows, columns = torch.fft.fftfreq(side).double()[:, None], torch.fft.rfftfreq(side).double()
    radius = torch.hypot(rows * stretch, columns / stretch).mul_(side / waves)
    smooth = torch.fft.irfft2(noise * torch.exp(-radius.square()), s=(side, side))
    smooth /= smooth.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return torch.exp(-(smooth / 0.2).square())
