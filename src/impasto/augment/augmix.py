"""AugMix on a whole uint8 batch at once: an image mixed with several chains of operations on itself.

Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty" (ICLR 2020), with
the operations, magnitudes and arithmetic of ``torchvision.transforms.AugMix`` on uint8 tensors: bilinear, black
outside, every step of a chain in whole grey levels, the mixture truncated. Siedel et al. (arXiv 2512.15675) use
torchvision's defaults with all operations. As in TrivialAugment, images are grouped by operation, here the images
of all chains together, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import bilinear
from impasto.augment.bilinear import BINS
from impasto.augment.levels import tables, to_bytes
from impasto.augment.trivial import Op, check, group, transform

OFFICIAL = (
    Op.SHEAR_X,
    Op.SHEAR_Y,
    Op.TRANSLATE_X,
    Op.TRANSLATE_Y,
    Op.ROTATE,
    Op.POSTERIZE,
    Op.SOLARIZE,
    Op.AUTO_CONTRAST,
    Op.EQUALIZE,
)
"""The operations of the paper, which overlap with none of the corruptions of the -C test sets."""
ALL = (*OFFICIAL, Op.BRIGHTNESS, Op.COLOR, Op.CONTRAST, Op.SHARPNESS)
"""torchvision's default, in its order."""
RANDOM_DEPTH = 3
"""Chains of random depth have 1 to this many steps."""


class AugMixDraws(NamedTuple):
    """What happens to each of n images; tensors on the CPU.

    Attributes:
        original: float32 [n], weight of the unchanged image.
        weights: float32 [n, chains], weight of each chain; with ``original`` they sum to 1.
        op: int64 [n, chains, steps], an ``Op``; a chain with fewer steps ends in ``Op.IDENTITY``.
        bin: int64, of the same shape, the magnitude's bin, 0 to 9; ignored by operations without a magnitude.
        sign: int64, of the same shape, -1 or 1; ignored by operations without a direction.
    """

    original: Tensor
    weights: Tensor
    op: Tensor
    bin: Tensor
    sign: Tensor

    def rows(self, index: Tensor) -> AugMixDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return AugMixDraws(*(column[index] for column in self))

    def only(self, allowed: Tensor) -> AugMixDraws:
        """The same draws, but nothing happens to the images where ``allowed`` (bool [n]) is false."""
        return self._replace(
            original=torch.where(allowed, self.original, 1.0),
            weights=torch.where(allowed[:, None], self.weights, 0.0),
            op=torch.where(allowed[:, None, None], self.op, Op.IDENTITY),
        )


def draw(
    n: int,
    generator: torch.Generator,
    *,
    severity: int = 3,
    chains: int = 3,
    depth: int = -1,
    alpha: float = 1.0,
    ops: Sequence[Op] = ALL,
) -> AugMixDraws:
    """Draw chains and weights for n images.

    Args:
        n: number of images.
        generator: a CPU generator.
        severity: magnitudes come from the lowest ``severity`` of 10 bins, 1 to 10.
        chains: chains per image, at least 1.
        depth: steps of every chain, or -1: 1 to 3, drawn for each chain.
        alpha: above 0. The share of the chains is Beta(alpha, alpha); it is spread over them by
            Dirichlet(alpha, ..., alpha).
        ops: the operations, each as likely as any other.

    Raises:
        ValueError: an argument lies outside its range.
    """
    if not (1 <= severity <= BINS and chains >= 1 and (depth == -1 or depth >= 1) and alpha > 0 and ops):
        raise ValueError(f"{severity=}, {chains=}, {depth=}, {alpha=}, {len(ops)} ops: out of range")
    share = torch._sample_dirichlet(torch.full((n, 2), alpha), generator)
    weights = torch._sample_dirichlet(torch.full((n, chains), alpha), generator) * share[:, 1:]
    steps = RANDOM_DEPTH if depth == -1 else depth
    shape = (n, chains, steps)
    depths = torch.randint(1 if depth == -1 else steps, steps + 1, (n, chains, 1), generator=generator)
    op = torch.tensor(ops)[torch.randint(len(ops), shape, generator=generator)]
    return AugMixDraws(
        original=share[:, 0],
        weights=weights,
        op=torch.where(torch.arange(steps) < depths, op, Op.IDENTITY),
        bin=torch.randint(severity, shape, generator=generator),
        sign=1 - 2 * torch.randint(2, shape, generator=generator),
    )


def apply(images: Tensor, draws: AugMixDraws) -> Tensor:
    """Mix each image with its chains.

    Each pixel equals that of ``torchvision.transforms.AugMix`` for a uint8 tensor and the same draws.
    ``torchvision.transforms.v2.AugMix`` rounds blends and auto-contrast otherwise in the last bit, so that these
    operations may differ by one grey level each.

    Args:
        images: uint8 [n, 3, H, W], on any device. Unchanged.
        draws: one row per image.

    Returns:
        uint8 [n, 3, H, W].

    Raises:
        ValueError: the images are not a uint8 RGB batch, or there is not one draw per image.
    """
    check(images, len(draws.op))
    chains = _run(images, draws)
    weights = torch.cat([draws.original[None], draws.weights.T]).to(images.device, non_blocking=True)
    original, *others = weights[..., None, None, None]
    mixture = images * original
    for chain, weight in zip(chains, others, strict=True):  # one by one: torchvision's order of summation
        mixture += chain * weight
    return to_bytes(mixture)


def _run(images: Tensor, draws: AugMixDraws) -> Tensor:
    """The end of each chain; uint8 [chains, n, 3, H, W].

    An image stands in the batch once per chain. Between two steps it goes straight from its place among the groups
    of the one to its place among the groups of the other: one copy per step.
    """
    n, chains, steps = draws.op.shape
    place = torch.arange(n).repeat(chains)
    plan, ends = [], []
    for step in range(steps):
        op, level = (column[..., step].T.flatten() for column in (draws.op, draws.bin + BINS * (draws.sign < 0)))
        order, last = group(op)
        plan.append(torch.stack([place[order], op[order] - Op.SHEAR_X, level[order]]))
        ends.append(last)
        place = order.argsort()
    moves = torch.stack([*plan, place.expand(3, -1)]).to(images.device, non_blocking=True)
    levels = tables(BINS, 0.9, (4, 0), images.device)
    for last, (source, motion, level) in zip(ends, moves[:-1], strict=True):
        images = transform(images.index_select(0, source), last, motion, level, levels, bilinear.move)
    return images.index_select(0, moves[-1, 0]).view(chains, n, *images.shape[1:])
