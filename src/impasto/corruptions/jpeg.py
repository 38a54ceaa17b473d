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

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision points to its successor, torchcodec
        files = encode_jpeg(list(images.cpu()), int(quality))
        decoded = decode_jpeg(files, ImageReadMode.RGB)
    return torch.stack(decoded).to(images.device)
