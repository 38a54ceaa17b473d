"""JPEG of -C."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption


@corruption(integer=True)
def jpeg_compression(images: Tensor, quality: float) -> Tensor:
    """Encode as baseline JPEG of ``quality`` with chroma halved in both directions (4:2:0), and decode."""
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg  # type: ignore[import-untyped]

    # The codec works on interleaved pixels; three strided copies for the batch are quicker than its own for each image.
    pixels = torch.empty(len(images), *images.shape[2:], 3, dtype=torch.uint8)
    for channel in range(3):
        pixels[..., channel] = images[:, channel]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision points to its successor, torchcodec
        decoded = decode_jpeg(encode_jpeg(list(pixels.permute(0, 3, 1, 2)), int(quality)), ImageReadMode.RGB)
    return torch.stack(decoded).to(images.device)
