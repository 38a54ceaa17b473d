"""Posterize, solarize, auto-contrast and equalize of TrivialAugment and AugMix: each value goes through a curve.

Every image has a curve of its own. Images are uint8 [n, 3, H, W], levels int64 [n] into ``tables``; results equal
torchvision's for uint8 tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.augment.levels import Tables, to_bytes


def posterize(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Keep the highest bits: 8 (first bin) to 2 (last) in TrivialAugment, 4 to none in AugMix."""
    return images & tables.masks[level].view(-1, 1, 1, 1)


def solarize(images: Tensor, level: Tensor, tables: Tables) -> Tensor:
    """Invert the values at or above a threshold that falls from 255 (first bin) to 0 (last)."""
    thresholds = tables.thresholds[level].view(-1, 1, 1, 1)
    return images ^ -(images >= thresholds).view(torch.uint8)  # -1 is 255: all bits flip


def auto_contrast(images: Tensor, _level: Tensor, _tables: Tables) -> Tensor:
    """Stretch each channel to 0..255; a channel of one value stays as it is."""
    low = images.amin((2, 3), keepdim=True).float()
    high = images.amax((2, 3), keepdim=True).float()
    flat = low == high
    scale = torch.where(flat, 1.0, 255.0 / (high - low))
    return to_bytes((images - low.masked_fill(flat, 0.0)).mul_(scale))


def equalize(images: Tensor, _level: Tensor, _tables: Tables) -> Tensor:
    """Spread each channel's values evenly over 0..255.

    The step is the number of pixels below the channel's highest value, divided by 255. A channel whose step is
    zero stays as it is.
    """
    values = images.flatten(2).long()
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, values, torch.ones_like(values, dtype=torch.int32))

    highest = values.amax(2, keepdim=True)
    step = (values.shape[2] - counts.gather(2, highest)) // 255
    below = counts.cumsum(2) - counts
    curve = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    identity = torch.arange(256, device=images.device)
    curve = torch.where(step == 0, identity, curve).to(torch.uint8)
    return curve.gather(2, values).view(images.shape)
