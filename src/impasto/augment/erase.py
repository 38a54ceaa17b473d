"""Random erasing: a black rectangle at a random place in some of the images.

Zhong et al., "Random Erasing Data Augmentation" (AAAI 2020), with the distribution of
``torchvision.transforms.RandomErasing``; Siedel et al. (arXiv 2512.15675) use p = 0.3 and fill 0 before the
model's normalisation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_ATTEMPTS = 10


class EraseDraws(NamedTuple):
    """The rectangle of each of n images in pixels; four int64 tensors [n] on the CPU.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows; 0 where nothing is erased.
        width: number of columns; 0 where nothing is erased.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def rows(self, index: Tensor) -> EraseDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return EraseDraws(self.top[index], self.left[index], self.height[index], self.width[index])


def draw(
    n: int,
    size: tuple[int, int],
    *,
    p: float,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 3.3),
    generator: torch.Generator,
) -> EraseDraws:
    """Draw one rectangle for each of n images, or none.

    Share and aspect are drawn up to ten times; the first rectangle that is smaller than the image in both
    directions is taken and put at a uniform place inside. If none is, the image stays as it is.

    Args:
        n: number of images.
        size: height and width of the images in pixels.
        p: probability of erasing, 0 to 1.
        area: bounds of the uniform share of the image's area.
        aspect: bounds of the log-uniform height over width.
        generator: a CPU generator.
    """
    erased = torch.rand(n, generator=generator) < p
    shares = torch.empty(n, _ATTEMPTS, dtype=torch.float64).uniform_(*area, generator=generator)
    aspects = torch.empty_like(shares).uniform_(*map(math.log, aspect), generator=generator).exp_()
    pixels = shares * size[0] * size[1]
    heights, widths = (pixels * aspects).sqrt().round().long(), (pixels / aspects).sqrt().round().long()

    fits = (heights < size[0]) & (widths < size[1])
    first = fits.int().argmax(1, keepdim=True)
    erased &= fits.any(1)
    height, width = (sides.gather(1, first).squeeze(1) * erased for sides in (heights, widths))
    places = torch.rand(2, n, dtype=torch.float64, generator=generator)
    top, left = (places[0] * (size[0] - height + 1)).long(), (places[1] * (size[1] - width + 1)).long()
    return EraseDraws(top, left, height, width)


def apply(images: Tensor, draws: EraseDraws) -> Tensor:
    """Set each image's rectangle to 0.

    Args:
        images: [n, C, H, W] of any dtype, on any device. Unchanged.
        draws: one row per image.

    Returns:
        A new tensor like ``images``.
    """
    top, left, height, width = torch.stack(draws).to(images.device, non_blocking=True).unsqueeze(2)
    y = torch.arange(images.shape[-2], device=images.device)
    x = torch.arange(images.shape[-1], device=images.device)
    in_rows = (y >= top) & (y < top + height)
    in_columns = (x >= left) & (x < left + width)
    kept = ~(in_rows.unsqueeze(2) & in_columns.unsqueeze(1)).unsqueeze(1)
    return torch.mul(images, kept.to(images.dtype))  # three times faster than a broadcast masked_fill
