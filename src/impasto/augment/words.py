"""Random 16-bit words for the masks and the uniform noise of a whole batch.

On a CPU they cost a quarter of as many floats, and their masks are computed without bool tensors, which are slow
there. A probability is rounded to a multiple of 1/65536.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_STEPS = 1 << 16


def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Independent uniform words, -32768 to 32767; int16 of the given shape on the generator's device.

    Every entry of the first axis takes the same number of 64-bit draws.
    """
    row = math.prod(shape[1:])
    words = long(shape[0] * -(-row // 4), generator).view(torch.int16)
    return words.view(shape[0], -(-row // 4) * 4)[:, :row].reshape(shape)


def long(n: int, generator: torch.Generator) -> Tensor:
    """Independent uniform 64-bit words; int64 [n] on the generator's device.

    A CPU serves draws in order, so there two calls give the same words as one call for both parts.
    """
    words = torch.empty(n, dtype=torch.int64, device=generator.device)
    return words.random_(-(1 << 63), None, generator=generator)


def uniform(words: Tensor) -> Tensor:
    """Words as uniform numbers in (0, 1), in steps of 1/65536; float32 like ``words``."""
    return words.float().add_(_STEPS / 2 + 0.5).mul_(1 / _STEPS)


def signed(words: Tensor) -> Tensor:
    """Words as uniform numbers in (-1, 1), in steps of 2/65536; float32 like ``words``."""
    return words.float().add_(0.5).mul_(2 / _STEPS)


def level(share: float) -> int:
    """The word below which lies a share of all words, 0 to 1."""
    return round(share * _STEPS) - _STEPS // 2


def reach(words: Tensor, level: int) -> Tensor:
    """1.0 where a word is at least ``level``, 0.0 elsewhere; float32 like ``words``."""
    return words.float().sub_(level - 1).clamp_(0, 1)
