"""The geometric operations of TrivialAugment: shears, translations, rotation; nearest neighbour, black outside.

Nearest-neighbour coordinates often fall exactly between two pixels, where the last bit of the arithmetic decides.
torchvision is therefore asked once per image size to move a picture of pixel numbers by each of the 5 x 62
motions. The resulting tables turn any mixture of motions into one gather that equals torchvision bit for bit, on
every device and for every batch size.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from impasto.augment.geometry import pick
from impasto.augment.levels import signed


def move(images: Tensor, motion: Tensor, level: Tensor) -> Tensor:
    """Shear, shift or turn each image by its own amount.

    Args:
        images: uint8 [n, C, H, W].
        motion: int64 [n]; 0 and 1 shear along x and y, 2 and 3 translate along x and y, 4 rotates.
        level: int64 [n], 0 to 61. Shears reach 0.99 (displacement per pixel, from the top left corner),
            translations 32 px whatever the size, rotations 135 degrees counter-clockwise.

    Returns:
        uint8 [n, C, H, W].
    """
    height, width = images.shape[-2:]
    return pick(images, _sources(height, width, images.device)[motion, level].long())


@lru_cache(maxsize=4)
def _sources(height: int, width: int, device: torch.device) -> Tensor:
    """Where each pixel comes from: 1 + its row-major number, 0 for outside; int32 [5, 62, H * W].

    1.3 MB at 32 px, 62 MB at 224 px.
    """
    numbers = torch.arange(1.0, height * width + 1).view(1, height, width)  # float32 is exact up to 4096 x 4096
    moved = torch.stack(_moved_by_torchvision(numbers))
    return moved.to(device, torch.int32).view(5, -1, height * width)


def _moved_by_torchvision(image: Tensor) -> list[Tensor]:
    """The image [1, H, W] after each motion and level; levels vary fastest."""
    from torchvision.transforms.functional import affine, rotate  # type: ignore[import-untyped]

    def shear(x: float, y: float) -> Tensor:
        degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
        sheared: Tensor = affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=degrees, center=[0, 0])
        return sheared

    def translate(x: int, y: int) -> Tensor:
        shifted: Tensor = affine(image, angle=0.0, translate=[x, y], scale=1.0, shear=[0.0, 0.0])
        return shifted

    shears, shifts, angles = (signed(high).tolist() for high in (0.99, 32.0, 135.0))
    return [
        *(shear(slope, 0.0) for slope in shears),
        *(shear(0.0, slope) for slope in shears),
        *(translate(int(shift), 0) for shift in shifts),
        *(translate(0, int(shift)) for shift in shifts),
        *(rotate(image, angle) for angle in angles),
    ]
