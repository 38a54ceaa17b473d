"""What the operations of TrivialAugment and AugMix share: the levels of their magnitudes, and the way back to bytes.

A level is a bin and a sign in one number: of B bins, level b is bin b with a positive sign, level B + b the same bin
with a negative sign. TrivialAugment has 31 bins and 62 levels.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

BINS = 31


class Tables(NamedTuple):
    """What each of L = 2 B levels means to the operations that do not move pixels.

    Attributes:
        ratios: float32 [2, L]; a blend's ratio, and one minus it.
        masks: uint8 [L]; the bits that posterize keeps.
        thresholds: uint8 [L]; the lowest value that solarize inverts.
    """

    ratios: Tensor
    masks: Tensor
    thresholds: Tensor


@cache
def tables(bins: int, ratio: float, bits: tuple[int, int], device: torch.device) -> Tables:
    """The levels of a policy.

    Args:
        bins: number of bins, at least 2.
        ratio: how far a blend's ratio departs from 1 in the last bin.
        bits: bits that posterize keeps in the first and in the last bin.
        device: where the tables are wanted.
    """
    ratios = 1.0 + signed(ratio, bins).double()  # one minus it is rounded from float64, as torch rounds a scalar
    kept = bits[0] + (torch.arange(bins) * ((bits[1] - bits[0]) / (bins - 1))).round().int()
    thresholds = torch.linspace(255.0, 0.0, bins).ceil()
    return Tables(
        torch.stack([ratios, 1.0 - ratios]).to(device, torch.float32),
        (256 - 2 ** (8 - kept)).repeat(2).to(device, torch.uint8),
        thresholds.repeat(2).to(device, torch.uint8),
    )


def signed(high: float, bins: int = BINS) -> Tensor:
    """Magnitudes from 0 to ``high``, then from 0 to ``-high``; float32 [2 * bins]."""
    magnitudes = torch.linspace(0.0, high, bins)
    return torch.cat([magnitudes, -magnitudes])


def to_bytes(values: Tensor) -> Tensor:
    """Clamp ``values`` to 0..255, in place, and truncate them to uint8.

    By way of int16: torch converts float to int16 to uint8 about three times faster than float to uint8.
    """
    return values.clamp_(0, 255).to(torch.int16).to(torch.uint8)
