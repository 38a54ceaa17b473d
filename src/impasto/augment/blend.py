"""Brightness, colour, contrast and sharpness of TrivialAugment and AugMix: blends of an image with a duller one.

The result is ratio * image + (1 - ratio) * dull, clamped to 0..255 and truncated. Ratios run from 0.01 to 1.99 in
TrivialAugment and from 0.1 to 1.9 in AugMix; those above 1 push the image away from its dull version. The arithmetic
is float32 in torchvision's order, so that the truncated results are equal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.augment.levels import Tables, to_bytes


def brightness(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Blend with black. Images uint8 [n, 3, H, W], level int64 [n] into ``tables``; the same for its siblings below."""
    return _blend(images, torch.zeros((), device=images.device), level, tables)


def color(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Blend with the grey version."""
    return _blend(images, _grey(images), level, tables)


def contrast(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Blend with the image's mean grey."""
    mean = _grey(images).float().mean((1, 2, 3), keepdim=True)  # float32 sums are exact up to 256 x 256
    return _blend(images, mean, level, tables)


def sharpness(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Blend with a smoothed version; images below 3 px in height or width stay as they are."""
    if min(images.shape[-2:]) <= 2:
        return images
    return _blend(images, _smooth(images), level, tables)


def _blend(images: Tensor, dull: Tensor, level: Tensor, tables: Tables) -> Tensor:
    ratio, rest = tables.ratios[:, level].view(2, -1, 1, 1, 1)
    return to_bytes((ratio * images).add_(rest * dull))


def _grey(images: Tensor) -> Tensor:
    """ITU-R 601 luma, truncated; uint8 [n, 1, H, W]."""
    red, green, blue = images.unsqueeze(2).unbind(1)
    return to_bytes(0.2989 * red + 0.587 * green + 0.114 * blue)


def _smooth(images: Tensor) -> Tensor:
    """Take a 3 x 3 mean whose centre weighs 5 of 13, rounded; the outermost pixels stay as they are."""
    wide = images.to(torch.int16)
    columns = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    centre = wide[..., 1:-1, 1:-1]
    total = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * centre
    smooth = images.clone()
    smooth[..., 1:-1, 1:-1] = to_bytes((total / 13).round_())  # thirteenths never fall on a half
    return smooth
