"""Spatter of -C: drops of water or splashes of mud (Hendrycks and Dietterich, ICLR 2019, appendix B).

With the same draws, results differ from those of OpenCV on x86 by one grey level in at most one value in 100,000,
measured at all severities and 32, 64 and 224 pixels. The layer is float64 and the blend float32, as in the benchmark.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.corruptions.blur import extend, smooth
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.chamfer import ONE, chamfer_distance
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.edges import canny
from impasto.corruptions.pixels import truncate, unit

_WATER, _MUD = (175, 238, 238), (63, 42, 20)
_FARTHEST = 20  # pixels from an edge beyond which water is all alike


def draw_layer(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Standard normals, float32 [B, H, W]."""
    return rng.normals(size[0] * size[1]).view(-1, *size)


@corruption(draw=draw_layer, integer=True)
def spatter(
    images: Tensor,
    normals: Tensor,
    mean: float,
    std: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: float,
) -> Tensor:
    """Cover the image where smoothed noise exceeds a threshold.

    Args:
        images: uint8 [B, 3, H, W].
        normals: float [B, H, W].
        mean: of the noise.
        std: of the noise, before it is smoothed.
        sigma: of the Gaussian that smooths the noise, in pixels.
        threshold: noise below it is no liquid.
        strength: of water: the factor of its colour where it is brightest; of mud: the blur of its border in pixels.
        mud: whether the liquid is mud; else it is water.
    """
    height, width = normals.shape[1:]
    layer = torch.empty(height, width, len(normals), dtype=torch.float64, device=normals.device)
    layer = smooth(layer.copy_(normals.permute(1, 2, 0)).mul_(std).add_(mean)[None], sigma)[0]
    if mud:
        cover = smooth((layer > threshold).to(torch.float64)[None], strength)[0].permute(2, 0, 1).float()
        cover = _from(cover.contiguous(), np.float32(0.8))[:, None]
        return truncate(unit(images, torch.float32).mul_(1 - cover).add_(cover * _colour(_MUD, images.device)))
    thickness = _from(layer, np.float64(threshold)).mul_(255).int().byte()
    shine = water_shine(thickness).mul_(thickness).permute(2, 0, 1).contiguous()
    # The product of two bytes is whole, so the only maximum that changes here is that of no light at all.
    brightest = shine.flatten(1).amax(dim=1).clamp_(min=1)
    light = shine.div_(brightest[:, None, None]).mul_(strength)[:, None] * _colour(_WATER, images.device)
    return truncate(unit(images, torch.float32).add_(light))


def _from(values: Tensor, least: np.floating[Any]) -> Tensor:
    """Set values below ``least``, which is of their precision, to zero."""
    return torch.nn.functional.threshold(values, float(np.nextafter(least, type(least)(-np.inf))), 0)


def water_shine(layer: Tensor) -> Tensor:
    """How much light drops reflect: the embossed relief of the distance from their edges.

    Equal to the benchmark's OpenCV calls (Canny, distance transform, box, equalised histogram, emboss, box) in all but
    some bytes in a million, where the last bit of a distance decides.

    Args:
        layer: uint8 [H, W, B], the thickness of the liquid.

    Returns:
        Float32 [H, W, B] of whole numbers from 0 to 255.
    """
    distance = chamfer_distance(canny(layer, 50, 150), _FARTHEST)
    depth = _sum_of_nine(distance).to(torch.float64).mul_(1 / ONE * (1 / 9)).float().int()
    x = _with_border(_equalize(depth, _FARTHEST + 1))
    emboss = (x[2:, 2:] - x[:-2, :-2]).mul_(2).sub_(x[:-2, 1:-1]).sub_(x[1:-1, :-2])
    emboss = emboss.add_(x[1:-1, 1:-1]).add_(x[1:-1, 2:]).add_(x[2:, 1:-1]).clamp_(0, 255)
    return _sum_of_nine(emboss).add_(4).float().div_(9).floor_()


def _equalize(levels: Tensor, count: int) -> Tensor:
    """Equalise the histogram of each image of int32 [H, W, B] below ``count``, as OpenCV does; int16."""
    pixels, batch = levels.shape[0] * levels.shape[1], levels.shape[2]
    index = levels.mul_(batch).add_(torch.arange(batch, dtype=torch.int32, device=levels.device)).view(-1)
    counts = torch.bincount(index, minlength=count * batch).view(count, batch)
    at_most = counts.cumsum(0)
    lowest = torch.where(at_most > 0, at_most, pixels).amin(0)  # pixels of the lowest level that occurs
    spread = 255.0 / (pixels - lowest).clamp_(min=1).float()
    table = (at_most - lowest).clamp_(min=0).float().mul_(spread).round_().short()
    flat = torch.arange(count, dtype=torch.int16, device=levels.device)[:, None]  # one level alone stays as it is
    return torch.where(lowest == pixels, flat, table).view(-1).index_select(0, index).view(levels.shape)


def _with_border(x: Tensor) -> Tensor:
    """[H, W, B] with one mirrored pixel on each side."""
    return extend(extend(x, 0, 1, "reflect"), 1, 1, "reflect")


def _sum_of_nine(x: Tensor) -> Tensor:
    """Sum over the 3 x 3 neighbourhood, mirrored at the border."""
    x = _with_border(x)
    x = x[2:] + x[:-2] + x[1:-1]
    return x[:, 2:] + x[:, :-2] + x[:, 1:-1]


def _colour(rgb: tuple[int, int, int], device: torch.device) -> Tensor:
    """A colour of the unit interval, float32 [3, 1, 1]."""
    return torch.tensor(rgb, dtype=torch.float64, device=device).div_(255).float().view(3, 1, 1)
