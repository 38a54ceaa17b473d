"""Canny's edges on batches, in the integer arithmetic of OpenCV.

Canny, "A computational approach to edge detection", PAMI 1986: Sobel gradients with the norm |dx| + |dy|, thinning
along the gradient, and two thresholds. The batch is the last axis, so that shifted views stay contiguous runs; values
are int16 and conditions are signs of margins, because comparisons cost ten times as much as minima.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.corruptions.blur import extend

_TAN_SHIFT = 15
_TAN_22 = 13573  # tan(22.5 degrees) * 2**15; tan(67.5 degrees) is larger by 2
_STEPS_BETWEEN_CHECKS = 4


def canny(grey: Tensor, low: int, high: int) -> Tensor:
    """Edges of grey images; equal to ``cv2.Canny`` with its defaults.

    Args:
        grey: uint8 [H, W, B].
        low: a pixel is part of an edge if its gradient exceeds this and it is connected to one above ``high``.
        high: above ``low``.

    Returns:
        uint8 [H, W, B]: 1 on edges, 0 elsewhere.
    """
    dx, dy = _sobel(grey)
    norm = dx.abs() + dy.abs()
    ridge = _ridge_margin(dx, dy, norm)
    weak = torch.minimum(ridge, norm - low).clamp_(0, 1).byte()
    strong = torch.minimum(ridge, norm - high).clamp_(0, 1).byte()
    return _grow(strong, weak)


def _sobel(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel gradients along x and y with the edge repeated, int16 [H, W, B]."""
    x = extend(extend(grey.short(), 0, 1, "nearest"), 1, 1, "nearest")
    change, sums = x[:, 2:] - x[:, :-2], x[:, 2:] + x[:, :-2] + x[:, 1:-1] * 2
    return change[2:] + change[:-2] + change[1:-1] * 2, sums[2:] - sums[:-2]


def _ridge_margin(dx: Tensor, dy: Tensor, norm: Tensor) -> Tensor:
    """Positive where the norm is largest along the gradient, to one of four directions; int16 [H, W, B]."""
    padded = torch.nn.functional.pad(norm, (0, 0, 1, 1, 1, 1))

    def beyond(row: int, column: int) -> Tensor:
        return norm - padded[1 + row : 1 + row + norm.shape[0], 1 + column : 1 + column + norm.shape[1]]

    along_x = torch.minimum(beyond(0, -1), beyond(0, 1) + 1)
    along_y = torch.minimum(beyond(-1, 0), beyond(1, 0) + 1)
    falling = torch.minimum(beyond(-1, -1), beyond(1, 1))
    rising = torch.minimum(beyond(-1, 1), beyond(1, -1))
    width, height = dx.abs().int(), dy.abs().int() << _TAN_SHIFT
    flat = (width * _TAN_22).sub_(height).clamp_(-1, 1).short()  # 1 where the gradient is within 22.5 degrees of x
    steep = height.sub_(width.mul_(_TAN_22 + (2 << _TAN_SHIFT))).clamp_(-1, 1).short()
    neither = torch.minimum(1 - flat, 1 - steep)
    same_sign = (dx ^ dy).bitwise_right_shift_(15).bitwise_or_(1)  # -1 where dx and dy differ in sign, else 1
    diagonal = torch.maximum(torch.minimum(falling, same_sign), torch.minimum(rising, -same_sign))
    straight = torch.maximum(torch.minimum(along_x, flat), torch.minimum(along_y, steep))
    return torch.maximum(straight, torch.minimum(diagonal, neither))


def _grow(strong: Tensor, weak: Tensor) -> Tensor:
    """All weak pixels connected to strong ones through weak neighbours, the eight around a pixel; uint8 [H, W, B]."""
    padded = torch.nn.functional.pad(strong, (0, 0, 1, 1, 1, 1))
    while True:
        before = padded.clone()
        for _ in range(_STEPS_BETWEEN_CHECKS):
            rows = torch.maximum(torch.maximum(padded[:-2], padded[2:]), padded[1:-1])
            wide = torch.maximum(torch.maximum(rows[:, :-2], rows[:, 2:]), rows[:, 1:-1])
            torch.minimum(wide, weak, out=padded[1:-1, 1:-1])
        if torch.equal(padded, before):
            return before[1:-1, 1:-1]
