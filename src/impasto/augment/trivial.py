"""TrivialAugmentWide, one operation per image, on a whole uint8 batch at once.

Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation" (ICCV 2021), in the
form of ``torchvision.transforms.TrivialAugmentWide``: 14 operations, 31 magnitudes, nearest neighbour, black
outside. torchvision treats one image at a time, or a whole batch with a single operation. Here every image
has an operation of its own: the batch is grouped by operation and each group is transformed in one go.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import blend, tone, warp
from impasto.augment.levels import BINS, Tables, tables


class Op(IntEnum):
    """The operations, numbered in the order in which torchvision draws them."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTO_CONTRAST = 12
    EQUALIZE = 13


# The five geometric operations share one gather; every other one is a group of its own. Identity needs none.
_SINGLE: dict[Op, Callable[[Tensor, Tensor, Tables], Tensor]] = {
    Op.BRIGHTNESS: blend.brightness,
    Op.COLOR: blend.color,
    Op.CONTRAST: blend.contrast,
    Op.SHARPNESS: blend.sharpness,
    Op.POSTERIZE: tone.posterize,
    Op.SOLARIZE: tone.solarize,
    Op.AUTO_CONTRAST: tone.auto_contrast,
    Op.EQUALIZE: tone.equalize,
}


class TrivialDraws(NamedTuple):
    """What happens to each of n images; three int64 tensors [n] on the CPU.

    Attributes:
        op: the operation, 0 to 13 (see ``Op``).
        bin: the magnitude's bin, 0 to 30; ignored by operations without a magnitude.
        sign: -1 or 1; ignored by operations without a direction.
    """

    op: Tensor
    bin: Tensor
    sign: Tensor

    def rows(self, index: Tensor) -> TrivialDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return TrivialDraws(self.op[index], self.bin[index], self.sign[index])


def draw(n: int, generator: torch.Generator) -> TrivialDraws:
    """Draw operation, magnitude and sign, each uniform and independent, for n images."""
    op = torch.randint(len(Op), (n,), generator=generator)
    magnitude = torch.randint(BINS, (n,), generator=generator)
    sign = 1 - 2 * torch.randint(2, (n,), generator=generator)
    return TrivialDraws(op, magnitude, sign)


def apply(images: Tensor, draws: TrivialDraws) -> Tensor:
    """Transform each image by its own operation.

    The groups are formed on the CPU, where the draws live, and reach the images' device in one small copy, so
    a GPU is never waited for. Each pixel equals torchvision's result for a uint8 tensor.

    Args:
        images: uint8 [n, 3, H, W], on any device. Unchanged.
        draws: one row per image.

    Returns:
        uint8 [n, 3, H, W].

    Raises:
        ValueError: the images are not a uint8 RGB batch, or there is not one draw per image.
    """
    check(images, len(draws.op))
    order, ends = group(draws.op)
    level = draws.bin + BINS * (draws.sign < 0)
    plan = torch.stack([order, order.argsort(), draws.op[order] - Op.SHEAR_X, level[order]])
    order, back, motion, level = plan.to(images.device, non_blocking=True)
    levels = tables(BINS, 0.99, (8, 2), images.device)
    return transform(images.index_select(0, order), ends, motion, level, levels, warp.move).index_select(0, back)


def check(images: Tensor, draws: int) -> None:
    """Raise ValueError unless ``images`` is uint8 [draws, 3, H, W]."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) != draws:
        raise ValueError(f"{images.dtype} {tuple(images.shape)} with {draws} draws; uint8 [n, 3, H, W] needed")


def group(op: Tensor) -> tuple[Tensor, list[int]]:
    """The order that sorts operations (int64 [n], on the CPU), and where each operation's group then ends."""
    return op.argsort(stable=True), op.bincount(minlength=len(Op)).cumsum(0).tolist()


def transform(
    images: Tensor,
    ends: list[int],
    motion: Tensor,
    level: Tensor,
    levels: Tables,
    move: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """Transform images that lie sorted by operation, group by group.

    Args:
        images: uint8 [n, 3, H, W], sorted by operation.
        ends: one past each operation's last image, from ``group``.
        motion: int64 [n], the operation counted from ``Op.SHEAR_X``; read for the geometric operations only.
        level: int64 [n], the magnitude's bin and sign in one number.
        levels: what the levels mean to the operations that do not move pixels.
        move: the five geometric operations, a function of images, motion and level.

    Returns:
        uint8 [n, 3, H, W] in the order of ``images``.
    """
    still, moved = slice(0, ends[Op.IDENTITY]), slice(ends[Op.IDENTITY], ends[Op.ROTATE])
    groups = [images[still], move(images[moved], motion[moved], level[moved])]
    for op, single in _SINGLE.items():
        rows = slice(ends[op - 1], ends[op])
        groups.append(single(images[rows], level[rows], levels))
    return torch.cat(groups)
