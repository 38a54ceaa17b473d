"""Snow of -C: flakes driven by the wind, over an image bleached by the light (Hendrycks and Dietterich, ICLR 2019)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, threshold_

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.motion import motion_blur
from impasto.corruptions.pixels import truncate_levels
from impasto.corruptions.zoom import zoom_crop, zoom_taps

_ANGLE_LANE = 1
_LUMA = (0.299, 0.587, 0.114)


class SnowDraws(NamedTuple):
    """What :func:`snow` draws.

    Attributes:
        normals: standard normals of the centre crop that is enlarged to the whole layer, float [B, h, w].
        angles: of the wind in degrees, float64 [B] in (-135, -45).
    """

    normals: Tensor
    angles: Tensor


def draw_snow(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> SnowDraws:
    """Normals and angles for layers of ``size``; how large the crop is depends on the factor, parameter 2."""
    height, width = (zoom_crop(side, parameters[2])[0] for side in size)
    angles = rng.uniforms(1, lane=_ANGLE_LANE)[:, 0].mul_(90).sub_(135)
    return SnowDraws(rng.normals(height * width).view(-1, height, width), angles)


@corruption(draw=draw_snow)
def snow(
    images: Tensor,
    draws: SnowDraws,
    mean: float,
    std: float,
    factor: float,
    threshold: float,
    radius: float,
    sigma: float,
    blend: float,
    *,
    dtype: torch.dtype,
) -> Tensor:
    """Bleach to b x + (1 - b) max(x, 1.5 grey(x) + .5), and add a layer of flakes as it is and turned by 180 degrees.

    Args:
        images: uint8 [B, 3, H, W].
        draws: see :class:`SnowDraws`.
        mean: of the flakes, see :func:`flakes`.
        std: as ``mean``.
        factor: as ``mean``.
        threshold: as ``mean``.
        radius: of the flakes' motion blur, in pixels.
        sigma: of the flakes' motion blur, in pixels.
        blend: b, in [0, 1]; the smaller, the paler.
        dtype: working precision of the blend; the layer is computed in float64 and in whole numbers.
    """
    layer = flakes(draws.normals, (images.shape[2], images.shape[3]), mean, std, factor, threshold)
    layer = motion_blur(layer, draws.angles, radius, sigma).short()
    layer += layer.flip(2, 3)
    x = images.to(dtype)  # in units of grey levels
    pale = (x[:, 0:1] * _LUMA[0]).add_(x[:, 1:2] * _LUMA[1]).add_(x[:, 2:3] * _LUMA[2])
    pale.mul_(1.5).add_(127.5).mul_(1 - blend)
    # b x + (1 - b) max(x, y) = max(x, b x + (1 - b) y)
    paler = (x * blend).add_(pale)
    return truncate_levels(torch.maximum(x, paler, out=x).add_(layer))


def flakes(normals: Tensor, size: tuple[int, int], mean: float, std: float, factor: float, threshold: float) -> Tensor:
    """Normals with ``mean`` and ``std``, enlarged linearly by ``factor``, and what lies below ``threshold`` set to 0.

    Args:
        normals: standard normals of the centre crop, float [B, h, w].
        size: height and width of the result.
        mean: on the scale of [0, 1].
        std: on the scale of [0, 1].
        factor: at least 1.
        threshold: on the scale of [0, 1].

    Returns:
        uint8 [B, 1, height, width]: values clipped to [0, 1], times 255, without their fraction.
    """
    layer = normals.permute(1, 2, 0).to(torch.float64, memory_format=torch.contiguous_format)
    layer = layer.mul(std).add_(mean)
    for axis in (0, 1) if factor > 1 else ():
        first, weight = _taps(size[axis], factor, layer.device)
        weight = weight.view(-1, *[1] * (2 - axis))
        second = layer.index_select(axis, first + 1).mul_(weight)
        layer = layer.index_select(axis, first).mul_(1 - weight).add_(second)
    layer = threshold_(layer, math.nextafter(threshold, 0), 0).clamp_(0, 1).mul_(255)  # keeps what equals it
    return layer.to(torch.int32).to(torch.uint8).permute(2, 0, 1)[:, None].contiguous()


@lru_cache(maxsize=16)
def _taps(length: int, factor: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """:func:`zoom_taps` of an axis that has been cropped already: int64 and float64 [length]."""
    first, weight = zoom_taps(length, factor)
    return torch.from_numpy(first - zoom_crop(length, factor)[1]).to(device), torch.from_numpy(weight).to(device)
