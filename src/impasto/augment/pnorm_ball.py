"""Uniform points of a p-norm ball, from random words.

Calafiore, Dabbene and Tempo, "Uniform sample generation in l_p balls for probabilistic robustness analysis"
(CDC 1998): magnitudes Gamma(1/p)^(1/p) with random signs, divided by their p-norm, are points of the unit sphere
that become uniform in the ball when multiplied by U^(1/d).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sphere(p: float, words: Tensor) -> Tensor:
    """Points of p-norm 1 in d dimensions.

    A power of 1/p is only taken of the Gamma variables' shares in their sum, so that nothing overflows.

    Args:
        p: 0.5, 1 or 2, for which a Gamma(1/p) variable is elementary.
        words: int64 [n, d], uniform (``words.long``): two 32-bit numbers for each coordinate. One gives its sign
            and an exponential variable, the other one what else p needs.

    Returns:
        float32 [n, d] on the device of the words.
    """
    first, second = words.view(torch.int32).chunk(2, 1)
    gamma = _exponential(first)
    if p == 0.5:
        gamma.add_(_exponential(second))
    elif p == 2:  # half the square of a normal variable (Box and Muller 1958)
        gamma.mul_(second.float().mul_(math.pi / 2**32).cos_().square_())
    elif p != 1:
        raise ValueError(f"p is {p}; 0.5, 1 or 2 needed")
    share = gamma.div_(gamma.sum(1, keepdim=True))
    magnitude = share.square_() if p == 0.5 else share.sqrt_() if p == 2 else share
    return magnitude.copysign_(first.float())


def _exponential(words: Tensor) -> Tensor:
    """Exponential variables of mean 1 from the lower 31 bits of int32 words; float32."""
    return (words & 0x7FFFFFFF).float().add_(0.5).mul_(2.0**-31).log_().neg_()
