"""Mixup and CutMix: each image of a batch is mixed with another one, and so is its target.

Zhang et al., "mixup: Beyond Empirical Risk Minimization" (ICLR 2018); Yun et al., "CutMix" (ICCV 2019), with the box
of ``torchvision.transforms.v2.CutMix``. As in Siedel et al. (arXiv 2512.15675), one lambda and one box serve a whole
batch, a batch gets one of the two or neither, and original and synthetic images are mixed among themselves. Labels
are smoothed by the loss, which takes soft targets.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import torch
from scipy.special import betaincinv
from torch import Tensor


class Method(IntEnum):
    """What happens to a batch."""

    NONE = 0
    MIXUP = 1
    CUTMIX = 2


class Mixture(NamedTuple):
    """How one batch of n images is mixed; the same for images of every size and for features.

    Attributes:
        method: see ``Method``.
        share: lambda, the weight of an image itself before the box is clipped, 0 to 1.
        y: centre of CutMix's box as a share of the height, in [0, 1).
        x: centre as a share of the width, in [0, 1).
        partner: int64 [n] on the CPU, the image of the batch that each one is mixed with.
    """

    method: Method
    share: float
    y: float
    x: float
    partner: Tensor


def draw(
    synthetic: Tensor,
    *,
    mixup: float,
    cutmix: float,
    mixup_alpha: float = 1.0,
    cutmix_alpha: float = 1.0,
    generator: torch.Generator,
) -> Mixture:
    """Draw method, lambda, box and partners of one batch.

    Args:
        synthetic: bool [n], which images of the batch are synthetic; partners are of the same sort.
        mixup: probability of Mixup.
        cutmix: probability of CutMix; if the two exceed 1 together, they are divided by their sum.
        mixup_alpha: lambda of Mixup is Beta(alpha, alpha); 1 is uniform.
        cutmix_alpha: the same for CutMix.
        generator: a CPU generator, keyed by the number of the batch.

    Raises:
        ValueError: a probability is negative or an alpha is not positive.
    """
    if min(mixup, cutmix) < 0 or min(mixup_alpha, cutmix_alpha) <= 0:
        raise ValueError(f"probabilities {mixup}, {cutmix} and alphas {mixup_alpha}, {cutmix_alpha}")
    choice, uniform, y, x = torch.rand(4, dtype=torch.float64, generator=generator).tolist()
    choice *= max(mixup + cutmix, 1.0)
    method = Method.CUTMIX if choice < cutmix else Method.MIXUP if choice < cutmix + mixup else Method.NONE
    alpha = cutmix_alpha if method == Method.CUTMIX else mixup_alpha
    partner = torch.empty(len(synthetic), dtype=torch.int64)
    for part in (~synthetic, synthetic):
        rows = part.nonzero()[:, 0]
        partner[rows] = rows[torch.randperm(len(rows), generator=generator)]
    return Mixture(method, float(betaincinv(alpha, alpha, uniform)), y, x, partner)


def apply(images: Tensor, mixture: Mixture, among: Tensor | None = None) -> Tensor:
    """Mix images or features.

    Args:
        images: float [n, C, H, W] of any precision, on any device. Unchanged.
        mixture: one partner per image.
        among: float [m, C, H, W], where the partners are found if not among the images themselves.

    Returns:
        A tensor like ``images``; ``images`` itself where nothing is mixed.

    Raises:
        ValueError: the images are not of a floating type, or there is not one partner per image.
    """
    if not images.is_floating_point() or len(images) != len(mixture.partner):
        raise ValueError(f"{images.dtype} [{len(images)}, ...] with {len(mixture.partner)} partners; floats needed")
    if mixture.method == Method.NONE:
        return images
    partner, among = mixture.partner.to(images.device, non_blocking=True), images if among is None else among
    if mixture.method == Method.MIXUP:
        return among[partner] * (1 - mixture.share) + images * mixture.share
    height, width = images.shape[-2:]
    top, left, bottom, right = box(mixture, (height, width))
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = among[..., top:bottom, left:right][partner]
    return mixed


def targets(labels: Tensor, classes: int, mixture: Mixture, size: tuple[int, int]) -> Tensor:
    """The targets of a mixed batch for ``losses.cross_entropy``.

    Args:
        labels: int64 [n], on any device.
        classes: number of classes.
        mixture: what was applied.
        size: height and width of what it was applied to; CutMix's weights are the areas at that size.

    Returns:
        Soft targets float32 [n, classes] whose rows sum to 1; ``labels`` itself where nothing is mixed.
    """
    if mixture.method == Method.NONE:
        return labels
    hot = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
    own = weight(mixture, size)
    return hot[mixture.partner.to(labels.device, non_blocking=True)] * (1 - own) + hot * own


def weight(mixture: Mixture, size: tuple[int, int]) -> float:
    """The weight of an image's own label at a height and width: lambda, or for CutMix the area outside the box."""
    if mixture.method != Method.CUTMIX:
        return 1.0 if mixture.method == Method.NONE else mixture.share
    top, left, bottom, right = box(mixture, size)
    return 1 - (bottom - top) * (right - left) / (size[0] * size[1])


def box(mixture: Mixture, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """CutMix's box, of an area of about (1 - lambda) H W before it is clipped: first row and column, and ends."""
    half = 0.5 * math.sqrt(1 - mixture.share)
    spans = []
    for centre, length in zip((mixture.y, mixture.x), size, strict=True):
        middle, reach = int(centre * length), int(half * length)
        spans.append((max(middle - reach, 0), min(middle + reach, length)))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right
