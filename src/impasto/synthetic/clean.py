"""Removing the residual noise that a sampler leaves on even backgrounds.

Faint noise on a background that is perfectly even in the real images is not a matter of looks: a classifier
trained on it learns to ignore noise, and synthetic images seem to make it robust. Lone specks teach the same.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EVEN = 0.9  # share of the border that must be near its median for a background to count as even
_FRAME = 2  # width of the border, px


def clean(images: Tensor, tolerance: int) -> Tensor:
    """Set every pixel near an even background, and every lone pixel on it, to the background.

    The background is the median of each channel over a border of 2 px. Where at least ``EVEN`` of the border lies
    within the tolerance of it, the image has an even background; all others are returned as they are. A pixel is
    lone if its eight neighbours are all near the background.

    Args:
        images: uint8 [N, 3, H, W].
        tolerance: largest difference of any channel, grey levels; 0 changes nothing.

    Returns:
        uint8 [N, 3, H, W].
    """
    if not tolerance:
        return images
    background, distance = _background(images)
    far = (distance > tolerance)[:, None]
    even = 1 - _border(far)[:, 0].float().mean(1) >= EVEN
    crowd = functional.avg_pool2d(far.float(), 3, stride=1, padding=1, divisor_override=1)
    cleaned = ~far | (crowd == 1)
    return torch.where(cleaned & even[:, None, None, None], background[:, :, None, None], images)


def share_even(images: Tensor, tolerance: int = 1) -> float:
    """The share of images uint8 [N, 3, H, W] whose background is even up to ``tolerance`` grey levels."""
    near = _background(images)[1] <= tolerance
    return float((_border(near[:, None])[:, 0].float().mean(1) >= EVEN).float().mean())


def tolerance_for(training: Tensor, tolerance: int) -> int:
    """The tolerance to clean with: 0 unless most of the training images uint8 [N, 3, H, W] have even backgrounds.

    Without this, the uneven backgrounds of natural images would be smoothed away: the opposite fault.
    """
    return tolerance if share_even(training) > 0.5 else 0


def _background(images: Tensor) -> tuple[Tensor, Tensor]:
    """The background colour uint8 [N, 3], and each pixel's largest difference from it, int16 [N, H, W]."""
    background = _border(images).median(2).values
    distance = (images.short() - background.short()[:, :, None, None]).abs().amax(1)
    return background, distance


def _border(images: Tensor) -> Tensor:
    """The pixels [N, C, P] of the outer frame of [N, C, H, W]."""
    top, bottom = images[:, :, :_FRAME], images[:, :, -_FRAME:]
    left, right = images[:, :, _FRAME:-_FRAME, :_FRAME], images[:, :, _FRAME:-_FRAME, -_FRAME:]
    return torch.cat([part.flatten(2) for part in (top, bottom, left, right)], 2)
