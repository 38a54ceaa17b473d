"""Noise of -C: Gaussian, shot (Poisson), impulse (salt and pepper) and speckle, i.i.d. per pixel and channel.

Hendrycks and Dietterich, ICLR 2019, section 4.1. All operations take uint8 [B, 3, H, W] and explicit draws.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.pixels import truncate, unit

_CELLS = 2**14  # cells of equal probability by which a Poisson variable is drawn


def draw_normals(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Standard normals, float32 [B, 3, H, W]."""
    return rng.normals(3 * size[0] * size[1]).view(-1, 3, *size)


def draw_cells(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Uniform integers in [0, 2**14), int16 [B, 3, H, W]."""
    return rng.shorts(3 * size[0] * size[1]).bitwise_and_(_CELLS - 1).view(-1, 3, *size)


def draw_uniforms(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Uniforms in (0, 1), float64 [B, 3, H, W]."""
    return rng.uniforms(3 * size[0] * size[1]).view(-1, 3, *size)


@corruption(draw=draw_normals)
def gaussian_noise(images: Tensor, normals: Tensor, std: float, *, dtype: torch.dtype) -> Tensor:
    """Add noise: x + N(0, std), with ``std`` on the scale of [0, 1]."""
    return truncate(unit(images, dtype).add_(normals.to(dtype) * std))


@corruption(draw=draw_normals)
def speckle_noise(images: Tensor, normals: Tensor, std: float, *, dtype: torch.dtype) -> Tensor:
    """Add noise in proportion to the value: x + x N(0, std)."""
    x = unit(images, dtype)
    return truncate((normals.to(dtype) * std).mul_(x).add_(x))


@corruption(draw=draw_uniforms, integer=True)
def impulse_noise(images: Tensor, uniforms: Tensor, probability: float) -> Tensor:
    """Set each value with ``probability`` to 255 or 0, whichever half of it the uniform falls in."""
    # Comparisons in place keep the type and run in vectors; those to bool and torch.where take five times as long.
    struck = uniforms.clone().lt_(probability).to(torch.int32).to(torch.uint8)
    salt = uniforms.clone().lt_(probability / 2).to(torch.int32).to(torch.uint8)
    return (1 - struck).mul_(images).add_(salt.mul_(255))


@corruption(draw=draw_cells, integer=True)
def shot_noise(images: Tensor, cells: Tensor, photons: float) -> Tensor:
    """Poisson(x photons) / photons, drawn by inversion.

    Args:
        images: uint8 [B, 3, H, W].
        cells: integers [B, 3, H, W] in [0, 2**14); cell k stands for the quantile (k + .5) / 2**14.
        photons: mean count of a white pixel.
    """
    levels = _shot_levels(photons, images.device)
    index = images.to(torch.int32).mul_(_CELLS).add_(cells.to(torch.int32))
    return levels.index_select(0, index.view(-1)).view(images.shape)


@lru_cache(maxsize=8)
def _shot_levels(photons: float, device: torch.device) -> Tensor:
    """Resulting grey level for each (grey level, cell), uint8 [256 * 2**14]."""
    top = int(photons + 8 * math.sqrt(photons) + 16)
    counts = np.arange(top + 1)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(counts[1:]))))
    means = np.arange(1, 256)[:, None] / 255 * photons
    distribution = np.cumsum(np.exp(counts * np.log(means) - means - log_factorial), axis=1)
    # A count k covers the cells whose quantile lies in (F(k - 1), F(k)].
    ends = np.clip(np.floor(distribution * _CELLS + 0.5), 0, _CELLS).astype(np.int64)
    ends[:, -1] = _CELLS
    levels = truncate(torch.from_numpy(counts / photons)).repeat(255)
    spans = torch.from_numpy(np.diff(ends, axis=1, prepend=0)).view(-1)
    black = torch.zeros(_CELLS, dtype=torch.uint8)
    return torch.cat((black, levels.repeat_interleave(spans))).to(device)
