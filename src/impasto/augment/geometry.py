"""Random flip and random crop with zero padding, for a whole batch in one gather.

The image is flipped first and cropped second (Siedel et al., arXiv 2512.15675: flip with probability 0.5, then a
crop of the image's own size from the image padded by 4 px at 32 px, 8 px at 64 px, 28 px at 224 px).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class CropDraws(NamedTuple):
    """Flip and crop of each of n images; tensors [n] on the CPU.

    Attributes:
        flip: bool, mirror left and right.
        down: int64, rows from the image's top edge to the crop's, -padding to padding.
        right: int64, columns from the (flipped) image's left edge to the crop's, -padding to padding.
    """

    flip: Tensor
    down: Tensor
    right: Tensor

    def rows(self, index: Tensor) -> CropDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return CropDraws(self.flip[index], self.down[index], self.right[index])


def draw(n: int, *, padding: int, flip: float = 0.5, generator: torch.Generator) -> CropDraws:
    """Draw a flip with probability ``flip`` and a uniform crop position for n images.

    Args:
        n: number of images.
        padding: zero pixels on each side; 0 crops nothing.
        flip: probability of a flip, 0 to 1.
        generator: a CPU generator.
    """
    flipped = torch.rand(n, generator=generator) < flip
    offsets = torch.randint(-padding, padding + 1, (2, n), generator=generator)
    return CropDraws(flipped, offsets[0], offsets[1])


def apply(images: Tensor, draws: CropDraws) -> Tensor:
    """Flip, then crop, each image by its own draws; what lies outside the image is 0.

    Args:
        images: [n, C, H, W] of any dtype, on any device. Unchanged.
        draws: one row per image.

    Returns:
        A new tensor like ``images``.
    """
    height, width = images.shape[-2:]
    flip, down, right = torch.stack([draws.flip.long(), draws.down, draws.right]).to(images.device, non_blocking=True)
    y = torch.arange(height, device=images.device) + down.unsqueeze(1)
    x = torch.arange(width, device=images.device) + right.unsqueeze(1)
    x = torch.where(flip.unsqueeze(1) == 1, width - 1 - x, x)
    inside = ((y >= 0) & (y < height)).unsqueeze(2) & ((x >= 0) & (x < width)).unsqueeze(1)
    sources = (1 + y.unsqueeze(2) * width + x.unsqueeze(1)).mul_(inside)
    return pick(images, sources.flatten(1))


def pick(images: Tensor, sources: Tensor) -> Tensor:
    """Compose each image of its own pixels.

    Args:
        images: [n, C, H, W].
        sources: int64 [n, H * W]; where each pixel comes from, as 1 + its row-major number, or 0 for black.
    """
    n, channels = images.shape[:2]
    pixels = torch.nn.functional.pad(images.flatten(2), (1, 0))
    return pixels.gather(2, sources.unsqueeze(1).expand(n, channels, -1)).view(images.shape)
