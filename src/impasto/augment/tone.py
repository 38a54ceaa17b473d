"""Posterize, solarize, auto-contrast and equalize of TrivialAugment: each value goes through a curve of its own image.

Images are uint8 [n, 3, H, W], levels int64 [n] from 0 to 61; results equal torchvision's for uint8 tensors.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from impasto.augment.levels import BINS, to_bytes


def posterize(images: Tensor, level: Tensor) -> Tensor:
    """Keep the 8 (bin 0) to 2 (bin 30) highest bits."""
    return images & _bit_masks(images.device)[level].view(-1, 1, 1, 1)


def solarize(images: Tensor, level: Tensor) -> Tensor:
    """Invert the values at or above a threshold that falls from 255 (bin 0) to 0 (bin 30)."""
    thresholds = _thresholds(images.device)[level].view(-1, 1, 1, 1)
    return images ^ -(images >= thresholds).view(torch.uint8)  # -1 is 255: all bits flip


def auto_contrast(images: Tensor, _level: Tensor) -> Tensor:
    """Stretch each channel to 0..255; a channel of one value stays as it is."""
    low = images.amin((2, 3), keepdim=True).float()
    high = images.amax((2, 3), keepdim=True).float()
    flat = low == high
    scale = torch.where(flat, 1.0, 255.0 / (high - low))
    return to_bytes((images - low.masked_fill(flat, 0.0)).mul_(scale))


def equalize(images: Tensor, _level: Tensor) -> Tensor:
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


@cache
def _bit_masks(device: torch.device) -> Tensor:
    """The bits that each level keeps; uint8 [62]."""
    dropped = (torch.arange(BINS) / 5).round().int().repeat(2)
    return (256 - 2**dropped).to(device, torch.uint8)


@cache
def _thresholds(device: torch.device) -> Tensor:
    """The lowest value that each level inverts; uint8 [62]."""
    return torch.linspace(255.0, 0.0, BINS).ceil().repeat(2).to(device, torch.uint8)
