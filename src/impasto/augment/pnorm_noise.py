"""Patched p-norm noise: noise of a random kind and strength in a random rectangle, the same for a group of images.

Siedel et al. (arXiv 2512.15675), after "Investigating the Corruption Robustness of Image Classifiers with Random
p-norm Corruptions" (VISAPP 2024). Each group of 8 images draws one of five kinds, a strength, a sparsity and a
rectangle. The reference divides the noise by the standard deviation of the dataset, adds it to the normalised images
and clamps them to the normalised range of pixels. With x' = (x - mean) / std that equals adding the noise to x and
clamping to [0, 1], as is done here, before the model normalises. The plan is drawn on the CPU; the noise itself is
drawn on the device of the images, for all groups at once.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import erase, pnorm_ball, words
from impasto.rng import key

_CHANNELS = 3


class Kind(IntEnum):
    """What noise is uniform in: an interval per element, the ball of a p-norm per image; or impulses."""

    LINF = 0
    L05 = 1
    L1 = 2
    L2 = 3
    L0 = 4


_BALLS = {Kind.L05: 0.5, Kind.L1: 1.0, Kind.L2: 2.0}


class Limits(NamedTuple):
    """The largest strength of each kind, in the order of ``Kind``, for pixels in [0, 1]."""

    linf: float  # of each element
    l05: float  # the norm of the whole image, as in the next two
    l1: float
    l2: float
    l0: float  # the share of elements drawn


SMALL = Limits(0.1, 4e5, 200.0, 5.0, 0.2)  # the paper's at 32 px
LARGE = Limits(0.2, 1.2e7, 1500.0, 20.0, 0.4)  # the paper's at 64 px, and again at 224 px


class PnormDraws(NamedTuple):
    """The noise of each of n images; tensors [n] on the CPU. Images of a group share all but ``hits``.

    Attributes:
        group: int64, number of the image's group; one noise image of a p-norm ball is shared by a group.
        kind: int64, see ``Kind``.
        radius: float32; Linf: bound of an element; L0.5, L1, L2: norm of the noise; L0: share of elements drawn.
        sparsity: float32, probability that an element is spared; counted in ``hits`` where the kind is L0.
        hits: int64, elements drawn inside the rectangle for an impulse, with replacement; 0 for all but L0.
        top, left, height, width: int64, the rectangle in pixels.
    """

    group: Tensor
    kind: Tensor
    radius: Tensor
    sparsity: Tensor
    hits: Tensor
    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def rows(self, index: Tensor) -> PnormDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return PnormDraws(*(column[index] for column in self))


class Sources(NamedTuple):
    """What ``apply`` draws from: one generator on the device of the images for each of four quantities."""

    mask: torch.Generator  # which elements are spared, and the values of impulses
    interval: torch.Generator  # values of Linf noise
    ball: torch.Generator  # noise images of the p-norm balls
    impulse: torch.Generator  # places of impulses


def sources(device: torch.device, seed: int, *counters: int) -> Sources:
    """Generators for a seed and counters, such as the epoch."""
    names = (f"pnorm-{name}" for name in Sources._fields)
    return Sources(*(torch.Generator(device).manual_seed(key(seed, name, *counters)) for name in names))


def draw(
    n: int,
    size: tuple[int, int],
    *,
    limits: Limits,
    group: int = 8,
    sparsity: float = 1.0,
    generator: torch.Generator,
) -> PnormDraws:
    """Draw the noise of n images; each ``group`` consecutive ones share it.

    The rectangle's area is a uniform share of 0.2 to 0.7 of the image, its aspect log-uniform in 0.3 to 3.3. As in
    random erasing, the first of ten tries that is smaller than the image in both directions is taken; where none
    is (5 groups in a million at 32 px), there is no noise.

    Args:
        n: number of images.
        size: height and width of the images in pixels.
        limits: largest strengths; a strength is uniform from 0 to its limit.
        group: images per group; the paper's is 8, 1 draws per image.
        sparsity: the largest probability that an element is spared, 0 to 1; a group's is uniform from 0 to it.
        generator: a CPU generator.

    Raises:
        ValueError: ``group`` is below 1.
    """
    if group < 1:
        raise ValueError(f"groups of {group} images; at least 1 needed")
    groups, elements = -(-n // group), _CHANNELS * size[0] * size[1]
    kind = torch.randint(len(Kind), (groups,), generator=generator)
    strength, spared, uniform = torch.rand(3, groups, dtype=torch.float64, generator=generator)
    strength, spared = strength * torch.tensor(limits, dtype=torch.float64)[kind], spared * sparsity
    radius = torch.where(_in_ball(kind), strength * uniform ** (1 / elements), strength)
    box = erase.draw(groups, size, p=1.0, area=(0.2, 0.7), aspect=(0.3, 3.3), generator=generator)

    # Of the impulses drawn anywhere in the image, those inside the rectangle and not spared are a binomial number.
    anywhere = torch.where(kind == Kind.L0, (elements * strength).floor(), 0.0)
    kept = (1 - spared) * (box.height * box.width) / (size[0] * size[1])
    number = torch.arange(n) // group
    hits = torch.binomial(anywhere[number], kept[number], generator=generator).long()
    shared = (column[number] for column in box)
    return PnormDraws(number, kind[number], radius.float()[number], spared.float()[number], hits, *shared)


def apply(images: Tensor, draws: PnormDraws, sources: Sources) -> Tensor:
    """Add each image's noise inside its rectangle and clamp to [0, 1].

    The same sources give the same bits. On a CPU batches that follow each other may be split at borders of groups
    in any way, since each source serves the images in order; a group that is cut gets a noise image for each part.

    Args:
        images: float32 [n, 3, H, W] in [0, 1]. Unchanged.
        draws: one row per image.
        sources: generators on the device of the images; they move on.

    Returns:
        float32 [n, 3, H, W] in [0, 1], channels last.

    Raises:
        ValueError: the images are not a float32 RGB batch, or there is not one draw per image.
    """
    if images.dtype != torch.float32 or images.ndim != 4 or images.shape[1] != 3 or len(images) != len(draws.kind):
        raise ValueError(f"{images.dtype} {tuple(images.shape)} with {len(draws.kind)} draws, not float32 [n, 3, H, W]")
    n, _, height, width = images.shape
    clean = images.permute(0, 2, 3, 1).reshape(n, height, width * _CHANNELS)  # a view of a channels-last batch
    mask = words.draw(tuple(clean.shape), sources.mask)
    columns = (draws.top, draws.left * _CHANNELS, draws.height, draws.width * _CHANNELS, draws.hits)
    place = torch.stack(columns).to(images.device, non_blocking=True)
    level, inside = _rectangles(draws, clean, place)
    noisy = words.reach(mask, level).mul_(inside)
    noisy.mul_(_noise(draws, clean, sources)).add_(clean).clamp_(0, 1)
    _strike(noisy, mask, place, int(draws.hits.sum()), sources.impulse)
    return noisy.view(n, height, width, _CHANNELS).permute(0, 3, 1, 2)


def _in_ball(kind: Tensor) -> Tensor:
    return (kind >= Kind.L05) & (kind <= Kind.L2)


def _rectangles(draws: PnormDraws, clean: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """What an element's word must reach to get noise, float32 [n, 1, 3W], and the rows that do, 1 or 0 [n, H, 1]."""
    top, left, height, width = place[:4].view(4, -1, 1, 1)
    sparsity = draws.sparsity.to(clean.device, non_blocking=True).view(-1, 1, 1)
    y = torch.arange(clean.shape[1], device=clean.device).view(-1, 1)
    x = torch.arange(clean.shape[2], device=clean.device)
    level = torch.where((x >= left) & (x < left + width), words.level(sparsity), words.OUT_OF_REACH)
    return level, ((y >= top) & (y < top + height)).float()


def _noise(draws: PnormDraws, clean: Tensor, sources: Sources) -> Tensor:
    """Noise before sparsity and rectangle, 0 for impulses; float32 like ``clean``.

    All noise images stand in one table, of which each image takes its row: the first row is 0, then comes a row for
    each image with Linf noise, then one for each group with noise from a ball.
    """
    elements = clean.shape[1] * clean.shape[2]
    single = (draws.kind == Kind.LINF).nonzero()[:, 0]
    shared = _in_ball(draws.kind).nonzero()[:, 0]
    groups, member = draws.group[shared].unique(return_inverse=True)
    first = torch.empty_like(groups).scatter_(0, member, shared)  # any image of the group: all have the same draws
    row = torch.zeros_like(draws.kind)
    row[single] = torch.arange(1, len(single) + 1)
    row[shared] = len(single) + 1 + member

    radius = torch.cat([draws.radius[single], draws.radius[first]]).to(clean.device, non_blocking=True).unsqueeze(1)
    table = torch.zeros(1 + len(radius), elements, device=clean.device)
    table[1 : len(single) + 1] = words.signed(words.draw((len(single), elements), sources.interval))
    bits = words.long(len(groups), elements, sources.ball)
    for kind, p in _BALLS.items():
        places = (draws.kind[first] == kind).nonzero()[:, 0].to(clean.device, non_blocking=True)
        table[places + len(single) + 1] = pnorm_ball.sphere(p, bits[places])
    table[1:] *= radius
    return table.index_select(0, row.to(clean.device, non_blocking=True)).view(clean.shape)


def _strike(noisy: Tensor, mask: Tensor, place: Tensor, total: int, source: torch.Generator) -> None:
    """Replace ``total`` drawn elements, some of them drawn twice, by uniform values, in place.

    An element's value comes from its own word, so it does not matter how often or in which order it is drawn.
    """
    image = torch.arange(len(noisy), device=noisy.device).repeat_interleave(place[4], output_size=total)
    top, left, height, width = place[:4, image]
    inside = words.long(1, total, source)[0].bitwise_and_((1 << 63) - 1) % (height * width)
    row = image * noisy.shape[1] + top + inside // width
    element = row * noisy.shape[2] + left + inside % width
    noisy.view(-1)[element] = words.uniform(mask.reshape(-1)[element])
