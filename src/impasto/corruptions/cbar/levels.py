"""What corruptions of -C-bar share: their unit of length, additive noise, and fading to white."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mean_side(size: tuple[int, int]) -> float:
    """The side S that scales lengths in an image of (height, width): their geometric mean, exact for a square."""
    return float(size[0]) if size[0] == size[1] else math.sqrt(size[0] * size[1])


def add_noise(images: Tensor, noise: Tensor) -> Tensor:
    """Truncate x + noise for uint8 ``images`` and noise in grey levels, [B, 1 or 3, H, W]; it is overwritten.

    Bytes are whole numbers, so the fraction may be cut off before the sum, which is then one of integers.
    """
    steps = noise.floor_().clamp_(-256, 256).to(torch.int16)
    return images.to(torch.int16).add_(steps).clamp_(0, 255).to(torch.uint8)


def fade_to_white(images: Tensor, kept: Tensor) -> Tensor:
    """Truncate 255 - kept (255 - x) for ``kept`` in [0, 1], [B, 1, H, W]."""
    distance = images.bitwise_not().to(kept.dtype).mul_(kept)
    return distance.ceil_().to(torch.int32).to(torch.uint8).bitwise_not_()
