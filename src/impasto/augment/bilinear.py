"""The geometric operations of AugMix: shears, translations, rotation; bilinear, black outside.

Bilinear weights vary smoothly, so a last bit of the coordinates moves a result by a grey level at most. The
coordinates are computed in torchvision's order nevertheless, so that on a CPU the results are equal.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from impasto.augment.levels import signed

BINS = 10


def move(images: Tensor, motion: Tensor, level: Tensor) -> Tensor:
    """Shear, shift or turn each image by its own amount.

    Args:
        images: uint8 [n, C, H, W].
        motion: int64 [n]; 0 and 1 shear along x and y, 2 and 3 translate along x and y, 4 rotates.
        level: int64 [n], 0 to 19. Shears reach 0.3 (displacement per pixel, from the top left corner), translations
            a third of the width or height, cut to whole pixels, rotations 30 degrees counter-clockwise.

    Returns:
        uint8 [n, C, H, W]; interpolated in float32 and rounded.
    """
    grid = _grids(*images.shape[-2:], images.device).index_select(0, 2 * BINS * motion + level)
    moved = functional.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.round_().to(torch.int16).to(torch.uint8)  # faster than straight to uint8


@lru_cache(maxsize=4)
def _grids(height: int, width: int, device: torch.device) -> Tensor:
    """Where each pixel comes from, in ``grid_sample``'s coordinates; float32 [5 * 20, H, W, 2].

    0.8 MB at 32 px, 40 MB at 224 px.
    """
    x, y = (torch.linspace((1 - side) / 2, (side - 1) / 2, side) for side in (width, height))
    y, x = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(-1, 3)  # from the centre, px
    scale = torch.tensor([0.5 * width, 0.5 * height])
    grids = [places @ (torch.tensor(matrix).view(2, 3).T / scale) for matrix in _matrices(height, width)]
    return torch.stack(grids).view(-1, height, width, 2).to(device)


def _matrices(height: int, width: int) -> list[list[float]]:
    """From each motion's result to its source, px from the centre: rows (x, y, 1) of x', then of y'."""
    shears, angles = signed(0.3, BINS).tolist(), [math.radians(d) for d in signed(30.0, BINS).tolist()]
    right, down = ([int(shift) for shift in signed(side / 3, BINS).tolist()] for side in (width, height))
    return [
        *([1.0, s, s * height / 2, 0.0, 1.0, 0.0] for s in shears),
        *([1.0, 0.0, 0.0, s, 1.0, s * width / 2] for s in shears),
        *([1.0, 0.0, -float(d), 0.0, 1.0, 0.0] for d in right),
        *([1.0, 0.0, 0.0, 0.0, 1.0, -float(d)] for d in down),
        *([math.cos(a), -math.sin(a), 0.0, math.sin(a), math.cos(a), 0.0] for a in angles),
    ]
