"""Digital corruptions of -C: contrast, saturate, pixelate, JPEG (Hendrycks and Dietterich, ICLR 2019, section 4.1)."""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.hsv import change_hsv
from impasto.corruptions.pixels import truncate, unit

_FRACTION_BITS = 22  # of Pillow's fixed-point resampling weights


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


@corruption(integer=True)
def pixelate(images: Tensor, factor: float) -> Tensor:
    """Shrink to ``factor`` of the side by box averages and enlarge again by repetition: equal to Pillow's BOX filter.

    Rows are averaged before columns, each pass in fixed-point arithmetic and rounded to a byte.
    """
    height, width = images.shape[2:]
    small = _average(images.float(), int(width * factor))
    small = _average(small.mT.contiguous(), int(height * factor)).mT.to(torch.uint8)
    rows, columns = (_repetition(int(side * factor), side, images.device) for side in (height, width))
    return small.index_select(2, rows).index_select(3, columns)


def _average(values: Tensor, length: int) -> Tensor:
    """Box-average the last axis of a float32 tensor of whole numbers down to ``length``; whole numbers again."""
    membership, weights = _boxes(values.shape[-1], length, values.device)
    sums = values @ membership  # sums of a few bytes: exact in float32, in any order
    rounded = sums.to(torch.int32).mul_(weights).add_(1 << (_FRACTION_BITS - 1))
    return rounded.bitwise_right_shift_(_FRACTION_BITS).float()


@lru_cache(maxsize=16)
def _boxes(length: int, shorter: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which positions each box holds, float32 [length, shorter] of 0 and 1, and its fixed-point weight, int32."""
    # Pillow's window and weight function, rounding included: both decide where a position lies on a box's border.
    scale = length / shorter
    centres = (torch.arange(shorter, dtype=torch.float64) + 0.5) * scale
    first, end = ((centres + side * scale + 0.5).floor() for side in (-0.5, 0.5))
    position = torch.arange(length)[:, None]
    offset = (position - centres + 0.5) * (1 / scale)
    membership = (position >= first) & (position < end) & (offset > -0.5) & (offset <= 0.5)
    weights = ((1 << _FRACTION_BITS) / membership.sum(dim=0, dtype=torch.float64) + 0.5).to(torch.int32)
    return membership.float().to(device), weights.to(device)


@lru_cache(maxsize=16)
def _repetition(shorter: int, length: int, device: torch.device) -> Tensor:
    """For each of ``length`` positions, which of the ``shorter`` ones it repeats."""
    return ((torch.arange(length, dtype=torch.float64) + 0.5) * (shorter / length)).long().to(device)


@corruption(integer=True)
def jpeg_compression(images: Tensor, quality: float) -> Tensor:
    """Encode as baseline JPEG of ``quality`` with chroma halved in both directions (4:2:0), and decode."""
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision points to its successor, torchcodec
        files = encode_jpeg(list(images.cpu()), int(quality))
        decoded = decode_jpeg(files, ImageReadMode.RGB)
    return torch.stack(decoded).to(images.device)
