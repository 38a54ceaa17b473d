"""JPEG of -C: libjpeg-turbo through torchvision, on the CPU."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption


@corruption(integer=True)
def jpeg_compression(images: Tensor, quality: float) -> Tensor:
    """Encode as baseline JPEG of ``quality`` with chroma halved in both directions (4:2:0), and decode."""
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg  # type: ignore[import-untyped]

    if not len(images):
        return images.clone()
    # The codec works on interleaved pixels. It would deal them out itself, but numpy does so twice as fast as torch.
    planes, pixels = images.cpu().numpy(), np.empty((len(images), *images.shape[2:], 3), dtype=np.uint8)
    for channel in range(3):
        pixels[..., channel] = planes[:, channel]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision points to its successor, torchcodec
        files = encode_jpeg(list(torch.from_numpy(pixels).permute(0, 3, 1, 2)), int(quality))
        decoded = decode_jpeg(files, ImageReadMode.RGB)
    result = torch.stack([image.permute(1, 2, 0) for image in decoded])
    return torch.from_numpy(np.ascontiguousarray(result.numpy().transpose(0, 3, 1, 2))).to(images.device)
