"""Patched p-norm noise: noise of a random kind and strength in a random rectangle, the same for a group of images.

Siedel et al. (arXiv 2512.15675), after "Investigating the Corruption Robustness of Image Classifiers with Random
p-norm Corruptions" (VISAPP 2024). Each group of 8 images draws one of five kinds, a strength, a sparsity and a
rectangle. The reference divides the noise by the standard deviation of the dataset, adds it to the normalised images
and clamps them to the normalised range of pixels. With x' = (x - mean) / std that equals adding the noise to x and
clamping to [0, 1], as is done here, before the model normalises. The plan is drawn on the CPU; the noise itself is
drawn on the device of the images, and only inside the rectangles.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import erase, pnorm_ball, words
from impasto.augment.patches import Part, Words
from impasto.rng import key

_CHANNELS = 3
_HALF = (1 << 32) - 1


class Kind(IntEnum):
    """What noise is uniform in: an interval per element, the ball of a p-norm per image; or impulses."""

    LINF = 0
    L05 = 1
    L1 = 2
    L2 = 3
    L0 = 4


_BALLS = {Kind.L05: 0.5, Kind.L1: 1.0, Kind.L2: 2.0}
_SHAPES = [1 / _BALLS[kind] if kind in _BALLS else 0.0 for kind in Kind]  # of an element's Gamma variable


class Limits(NamedTuple):
    """The largest strength of each kind, in the order of ``Kind``, for pixels in [0, 1]."""

    linf: float  # of each element
    l05: float  # the norm of the whole image, as in the next two
    l1: float
    l2: float
    l0: float  # the share of elements drawn


def spread(limits: Limits, size: tuple[int, int], seen: tuple[int, int]) -> Limits:
    """Limits of equal strength for each element where images of ``size`` are noisy and are enlarged to ``seen`` after.

    The elements of a uniform point of the p-ball of norm eps in d dimensions are of order eps / d^(1/p), so that
    limits meant for images of ``seen`` become (d / d_seen)^(1/p) times as large; bounds and shares stay.
    """
    ratio = size[0] * size[1] / (seen[0] * seen[1])
    return limits._replace(l05=limits.l05 * ratio**2, l1=limits.l1 * ratio, l2=limits.l2 * ratio**0.5)


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
        rest: float32; L0.5, L1, L2: what the elements outside the rectangle, which nobody sees, add to the norm (see
            ``pnorm_ball``); 0 for other kinds.
        top, left, height, width: int64, the rectangle in pixels.
    """

    group: Tensor
    kind: Tensor
    radius: Tensor
    sparsity: Tensor
    hits: Tensor
    rest: Tensor
    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def rows(self, index: Tensor) -> PnormDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64) or is a mask (bool, [n])."""
        return PnormDraws(*(column[index] for column in self))


class Sources(NamedTuple):
    """What ``apply`` draws from: one generator on the device of the images for each of six quantities."""

    mask: torch.Generator  # which elements are spared, and the values of impulses
    interval: torch.Generator  # values of Linf noise
    l05: torch.Generator  # noise images of the p-norm balls
    l1: torch.Generator
    l2: torch.Generator
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
    outside = elements - _CHANNELS * box.height * box.width
    rest = torch._standard_gamma(outside * torch.tensor(_SHAPES, dtype=torch.float64)[kind], generator=generator)
    shared = (column[number] for column in (rest.float(), *box))
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
    noisy = images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).view(n, height, width * _CHANNELS)
    parts = _parts(draws)
    mask = Words(parts, sources.mask)
    interval = Words([part for part in parts if part.kind == Kind.LINF], sources.interval)
    balls = _balls(parts, sources)
    for part in parts:
        if part.kind != Kind.L0:
            noise = words.signed(interval.of(part)) if part.kind == Kind.LINF else balls[part.group]
            kept = words.reach(mask.of(part), words.level(part.sparsity))
            top, left, high, wide = part.box
            patch = noisy[part.start : part.stop, top : top + high, left : left + wide]
            patch.addcmul_(kept, noise, value=part.radius).clamp_(0, 1)
    _strike(noisy, draws.hits, [part for part in parts if part.kind == Kind.L0], mask, sources.impulse)
    return noisy.view(n, height, width, _CHANNELS).permute(0, 3, 1, 2)


def _in_ball(kind: Tensor) -> Tensor:
    return (kind >= Kind.L05) & (kind <= Kind.L2)


def _parts(draws: PnormDraws) -> list[Part]:
    counts = draws.group.unique_consecutive(return_counts=True)[1]
    stop = counts.cumsum(0)
    start = stop - counts
    group, kind, radius, sparsity, _, rest, top, left, height, width = draws.rows(start)
    boxes = torch.stack([top, left * _CHANNELS, height, width * _CHANNELS], 1)
    rows = zip(*(column.tolist() for column in (start, stop, group, kind, radius, sparsity, rest, boxes)), strict=True)
    return [part for part in map(Part._make, rows) if part.box[2]]


def _balls(parts: list[Part], sources: Sources) -> dict[int, Tensor]:
    """The noise of norm 1 inside the rectangle of each group with noise from a ball, float32 [rows, numbers]."""
    found: dict[int, Tensor] = {}
    for (kind, p), source in zip(_BALLS.items(), (sources.l05, sources.l1, sources.l2), strict=True):
        groups = {part.group: part for part in parts if part.kind == kind}
        if groups:
            lengths = [part.box[2] * part.box[3] for part in groups.values()]
            rest = torch.tensor([part.rest for part in groups.values()]).to(source.device, non_blocking=True)
            points = pnorm_ball.sphere(p, lengths, rest, source).split(lengths)
            found |= {part.group: x.view(*part.box[2:]) for part, x in zip(groups.values(), points, strict=True)}
    return found


def _strike(noisy: Tensor, hits: Tensor, parts: list[Part], values: Words, source: torch.Generator) -> None:
    """Replace drawn numbers, some of them drawn twice, by uniform values, in place.

    A number's value comes from its own word, so it does not matter how often or in which order it is drawn. Each
    half of a draw is one coordinate: (half * side) >> 32 is uniform in 0 .. side - 1.
    """
    struck = [(part, image) for part in parts for image in range(part.start, part.stop)]
    height, row = noisy.shape[1:]
    places = [
        ((image * height + top) * row + left, high, wide, values.start[part.start] + (image - part.start) * part.words)
        for part, image in struck
        for top, left, high, wide in (part.box,)
    ]
    place = torch.tensor(places, dtype=torch.int64).view(-1, 4).T.to(noisy.device, non_blocking=True)
    times, total = hits[[image for _, image in struck]].to(noisy.device, non_blocking=True), int(hits.sum())
    corner, high, wide, start = place.repeat_interleave(times, 1, output_size=total)
    drawn = words.long(total, source)
    down, right = ((drawn & _HALF) * high) >> 32, ((drawn >> 32 & _HALF) * wide) >> 32
    noisy.view(-1)[corner + down * row + right] = words.uniform(values.words[start + down * wide + right])
