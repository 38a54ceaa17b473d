"""What TrivialAugment's operations share: the levels of their magnitudes, and the way back to bytes.

A level is a bin (0 to 30) and a sign in one number from 0 to 61: level b is bin b with a positive sign,
level 31 + b the same bin with a negative sign.
"""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 31


def signed(high: float) -> Tensor:
    """Magnitudes from 0 to ``high``, then from 0 to ``-high``; float32 [62]."""
    magnitudes = torch.linspace(0.0, high, BINS)
    return torch.cat([magnitudes, -magnitudes])


def to_bytes(values: Tensor) -> Tensor:
    """Clamp ``values`` to 0..255, in place, and truncate them to uint8.

    By way of int16: torch converts float to int16 to uint8 about three times faster than float to uint8.
    """
    return values.clamp_(0, 255).to(torch.int16).to(torch.uint8)
