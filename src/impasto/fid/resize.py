"""Bilinear resizing as TensorFlow 1 did it, which is part of what an FID is."""

from __future__ import annotations

import torch
from torch import Tensor


def resize_like_tensorflow1(images: Tensor, side: int) -> Tensor:
    """Resize to ``side`` x ``side``: output pixel i lies at i H / side of the input, without half-pixel centres.

    So the first pixels coincide and the last do not (``align_corners=False`` of ``tf.image.resize_bilinear``), and
    shrinking averages nothing. The operations are those of TensorFlow's kernel, in its order, in float32.

    Args:
        images: float32 [B, C, H, W].
        side: in pixels.
    """
    low, high, share = _places(images.shape[-1], side, images.device)
    left = images.index_select(-1, low)
    images = left + (images.index_select(-1, high) - left) * share
    low, high, share = _places(images.shape[-2], side, images.device)
    top = images.index_select(-2, low)
    return top + (images.index_select(-2, high) - top) * share[:, None]


def _places(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two neighbours of each output pixel on one axis, int64 [side], and how far it lies from the first to them."""
    at = torch.arange(side, dtype=torch.float32) * torch.tensor(length / side, dtype=torch.float32)
    low = at.floor()
    first = low.long()
    return first.to(device), (first + 1).clamp(max=length - 1).to(device), (at - low).to(device)
