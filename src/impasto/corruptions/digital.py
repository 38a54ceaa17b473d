"""Contrast and saturate of -C (Hendrycks and Dietterich, ICLR 2019, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.hsv import change_hsv
from impasto.corruptions.pixels import truncate, unit


@corruption()
def contrast(images: Tensor, factor: float, *, dtype: torch.dtype) -> Tensor:
    """(x - mean) factor + mean, with the mean of each channel of each image."""
    pixels = images.shape[2] * images.shape[3]
    # The sum of bytes is an integer, so the mean is correctly rounded and independent of any summation order.
    mean = images.sum(dim=(2, 3), keepdim=True).to(torch.float64).div_(255 * pixels).to(dtype)
    return truncate(unit(images, dtype).sub_(mean).mul_(factor).add_(mean))


@corruption()
def saturate(images: Tensor, factor: float, shift: float, *, dtype: torch.dtype) -> Tensor:
    """Set the saturation S of HSV to clip(S factor + shift)."""
    return change_hsv(images, saturation=lambda s: s.mul_(factor).add_(shift).clamp_(0, 1), dtype=dtype)
