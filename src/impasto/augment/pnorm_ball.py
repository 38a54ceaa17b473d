"""Uniform points of a p-norm ball.

Calafiore, Dabbene and Tempo, "Uniform sample generation in l_p balls for probabilistic robustness analysis"
(CDC 1998): magnitudes Gamma(1/p)^(1/p) with random signs, divided by their p-norm, are points of the unit sphere
that become uniform in the ball when multiplied by U^(1/d). The norm needs only the sum of the Gamma variables, and k
of them that nobody looks at add up to one Gamma(k/p) variable: so a part of a point costs no more than that part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.augment import words


def sphere(p: float, lengths: list[int], rest: Tensor, generator: torch.Generator) -> Tensor:
    """Some coordinates of points of p-norm 1.

    Args:
        p: 0.5, 1 or 2, for which a Gamma(1/p) variable is elementary.
        lengths: how many coordinates of each of g points are wanted, at least 1.
        rest: float32 [g] on the generator's device, the Gamma variables of the other coordinates in sum; 0 where all
            are wanted.
        generator: a CPU serves draws in order, so there two calls give the points of one call for both parts.

    Returns:
        float32 [sum of lengths] on the generator's device, the points' coordinates one after the other.
    """
    points, gamma = _normal(lengths, generator) if p == 2 else _elementary(p, lengths, generator)
    scale = torch.stack(gamma).add_(rest).pow_(-1 / p)  # at 224 px a sum is 3e5 and its square 1e11: nothing overflows
    sizes = torch.tensor(lengths).to(scale.device, non_blocking=True)
    return points.mul_(scale.repeat_interleave(sizes, output_size=len(points)))


def _elementary(p: float, lengths: list[int], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Signed magnitudes for p = 1 or 0.5, of one or two exponential variables, and each point's sum of the latter.

    A 64-bit word serves each coordinate: 31 bits for each variable, one for the sign.
    """
    if p not in (0.5, 1):
        raise ValueError(f"p is {p}; 0.5, 1 or 2 needed")
    first, second = words.long(sum(lengths), generator).view(torch.int32).view(-1, 2).unbind(1)
    product = _uniform(first).mul_(_uniform(second)) if p == 0.5 else _uniform(first)
    gamma = product.log_().neg_()
    sums = [part.sum() for part in gamma.split(lengths)]
    return (gamma.square_() if p == 0.5 else gamma).copysign_(first.float()), sums


def _normal(lengths: list[int], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Normal variables of variance 1/2, whose squares are Gamma(1/2), and the sum of squares for each point."""
    points = torch.empty(sum(lengths), device=generator.device)
    return points, [part.normal_(0, 0.5**0.5, generator=generator).dot(part) for part in points.split(lengths)]


def _uniform(words: Tensor) -> Tensor:
    """Uniform numbers in (0, 1] from the lower 31 bits of int32 words; float32."""
    return (words & 0x7FFFFFFF).float().add_(0.5).mul_(2.0**-31)
