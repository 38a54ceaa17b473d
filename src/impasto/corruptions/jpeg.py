"""JPEG of -C: libjpeg-turbo through torchvision, on the CPU."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.corruptions.catalogue import corruption

_PIXELS = 2**17  # per step: they stay in the cache from one step of the codec to the next


@corruption(integer=True, whole=True)
def jpeg_compression(images: Tensor, quality: float) -> Tensor:
    """Encode as baseline JPEG of ``quality`` with chroma halved in both directions (4:2:0), and decode."""
    planes = images.cpu().numpy()
    result = np.empty_like(planes)
    few = max(1, _PIXELS // (images.shape[2] * images.shape[3]))
    for start in range(0, len(planes), few):
        _compress(planes[start : start + few], int(quality), result[start : start + few])
    return torch.from_numpy(result).to(images.device)


def _compress(planes: NDArray[np.uint8], quality: int, result: NDArray[np.uint8]) -> None:
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg  # type: ignore[import-untyped]

    # The codec works on interleaved pixels. It would deal them out itself, but numpy does so twice as fast as torch.
    pixels = np.empty((len(planes), *planes.shape[2:], 3), dtype=np.uint8)
    for channel in range(3):
        pixels[..., channel] = planes[:, channel]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision points to its successor, torchcodec
        files = encode_jpeg(list(torch.from_numpy(pixels).permute(0, 3, 1, 2)), quality)
        for image, decoded in zip(result, decode_jpeg(files, ImageReadMode.RGB), strict=True):
            image[...] = decoded.numpy()
