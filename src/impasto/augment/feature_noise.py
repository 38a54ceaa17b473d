"""Feature noise: additive and multiplicative noise on the features after a randomly drawn stage of a network.

Lim et al., "Noisy Feature Mixup" (ICLR 2022); Erichson et al., "NoisyMix" (arXiv 2202.01263), whose sparsity is
always 0.65; Siedel et al. (arXiv 2512.15675), who multiply the sparsity by a uniform number for each batch, draw the
depth from {0, 1, 2} and leave depth 0, the input, to patched p-norm noise.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import words


class FeatureNoise(NamedTuple):
    """The noise of one batch.

    Attributes:
        depth: 0 for the input, k for the features after stage k.
        additive: standard deviation of the additive part.
        multiplicative: largest deviation of the factor from 1.
        sparsity: probability that an element is spared by the one part, and again by the other.
    """

    depth: int
    additive: float
    multiplicative: float
    sparsity: float


def draw(
    *,
    depths: int = 3,
    additive: float = 0.5,
    multiplicative: float = 0.5,
    sparsity: float = 0.65,
    varied: bool = True,
    generator: torch.Generator,
) -> FeatureNoise:
    """Draw the noise of one batch: each level is its largest value times a Beta(2, 5) number of its own.

    Args:
        depths: number of places the depth is drawn from, the input included; 3 in the paper, 4 in NoisyMix.
        additive: largest standard deviation of the additive part.
        multiplicative: largest deviation of the factor from 1.
        sparsity: largest probability that an element is spared, 0 to 1.
        varied: whether the sparsity is uniform from 0 to the largest, as in the paper, or always the largest.
        generator: a CPU generator, keyed by the number of the batch.
    """
    depth = int(torch.randint(depths, (), generator=generator))
    uniform = torch.rand(2, 6, dtype=torch.float64, generator=generator)
    first, second = uniform.sort(1).values[:, 1].tolist()  # the second smallest of six is Beta(2, 5)
    share = float(torch.rand((), dtype=torch.float64, generator=generator)) if varied else 1.0
    return FeatureNoise(depth, additive * first, multiplicative * second, sparsity * share)


def apply(
    features: Tensor, noise: FeatureNoise, source: torch.Generator, n: int | None = None, rows: slice = slice(None)
) -> Tensor:
    """Multiply each feature by its own factor and add its own noise.

    The factor is 1 + multiplicative * U(-1, 1), the noise additive * N(0, 1); each is reset to 1 or to 0, the one
    independently of the other, with the probability ``sparsity``. Gradients flow through the factor.

    Args:
        features: float [n, C, ...] of any precision. Unchanged.
        noise: levels and sparsity; the depth is not looked at.
        source: a generator on the device of the features; it moves on. The same state gives the same bits, for
            every memory format.
        n: of how many images the noise is drawn, of which the features are those of ``rows``; None for their own.
        rows: see ``n``.

    Returns:
        A tensor like ``features``, channels last.
    """
    shape = (n or len(features), *features.movedim(1, -1).shape[1:])
    spared = words.level(noise.sparsity)
    factor = words.signed(words.draw(shape, source)[rows]).mul_(noise.multiplicative)
    factor = factor.mul_(words.reach(words.draw(shape, source)[rows], spared)).add_(1).movedim(-1, 1)
    added = torch.randn(shape, generator=source, device=features.device)[rows].mul_(noise.additive)
    added = added.mul_(words.reach(words.draw(shape, source)[rows], spared)).movedim(-1, 1)
    return torch.addcmul(added, features.float(), factor).to(features.dtype)
