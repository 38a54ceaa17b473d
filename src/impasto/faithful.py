"""Which images are stylised, and how, as the code of arXiv 2512.15675 draws it and not as its text says.

The text gives each image a probability and a strength of its own. The code chooses an exact number of images and
takes them in groups of 50, which share one strength and no style; 2 or 3 of the 50 are called stylised, but are only
resampled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.config.mix import Interval, Mix
from impasto.errors import ImpastoError
from impasto.rng import generator
from impasto.style.stylize import UNPAINTED

GROUP = 50
"""Images stylised at once by the paper's code."""

PAINTED = 0.95
"""Share of a group that is painted wherever TrivialAugment is on; without it all of them are."""


class FaithfulDraws(NamedTuple):
    """The columns of a plan (:class:`impasto.mix.Plan`) that it replaces, of the same types and lengths.

    Attributes:
        stylised: bool, whether the image is called stylised; the others have style 0 and strength 0.
        style: int64, index into the style bank; ``UNPAINTED`` where it is only resampled.
        alpha: float32 in [0, 1], style strength.
        trivial: bool, whether TrivialAugment may act on it.
    """

    stylised: Tensor
    style: Tensor
    alpha: Tensor
    trivial: Tensor


def faithful_draws(
    synthetic: Tensor, mix: Mix, *, styles: int, seed: int, epoch: int, painted: float = PAINTED
) -> FaithfulDraws:
    """Draw the columns for one epoch; ``plan._replace(**draws._asdict())`` puts them into its plan.

    Each stream has generators of its own, keyed by (seed, purpose, epoch). Raising lambda_o or lambda_s adds
    images at the end of a random order, so the groups before stay what they were. A last, incomplete group is
    treated like the others, in proportion.

    Args:
        synthetic: bool [N], the plan's column.
        mix: lambda_o and lambda_s, as they are in this epoch; alpha_o, alpha_s, combine_o, combine_s.
        styles: number of styles in the bank.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        painted: share of each group that is painted, in [0, 1].

    Raises:
        ImpastoError: a group needs more styles than there are.
    """
    n = len(synthetic)
    found = FaithfulDraws(torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.int64), torch.zeros(n),
                          torch.ones(n, dtype=torch.bool))  # fmt: skip
    shares = mix.at(epoch)
    streams = (("original", ~synthetic, shares.lambda_o, mix.alpha_o, mix.combine_o),
               ("synthetic", synthetic, shares.lambda_s, mix.alpha_s, mix.combine_s))  # fmt: skip
    for name, mask, share, interval, combine in streams:
        rows = mask.nonzero()[:, 0]
        order = torch.randperm(len(rows), generator=generator(seed, f"faithful-order-{name}", epoch))
        chosen = rows[order[: int(len(rows) * share)]]
        source = generator(seed, f"faithful-{name}", epoch)
        found.style[chosen], found.alpha[chosen] = _groups(len(rows), len(chosen), interval, painted, styles, source)
        found.stylised[chosen] = True
        found.trivial[chosen] = combine == "and"
    return found


def left_out(style: Tensor, painted: float, seed: int, epoch: int) -> Tensor:
    """The column ``style`` of a plan, ``UNPAINTED`` with probability 1 - ``painted`` for each image by itself.

    What a group leaves out, for a plan without groups.
    """
    uniform = torch.rand(len(style), generator=generator(seed, "left-out", epoch))
    return torch.where(uniform < painted, style, UNPAINTED)


def _groups(
    most: int, count: int, interval: Interval, painted: float, styles: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Style int64 [count] and strength float32 [count] of images in groups of ``GROUP``.

    A group of m paints its first floor(m painted + u), u uniform in [0, 1). As many groups are drawn as ``most``
    images fill, whatever ``count`` is: the draws of one group do not depend on how many there are.
    """
    groups = -(-most // GROUP)
    uniform = torch.rand(2, groups, generator=source, dtype=torch.float64)
    sizes = (count - GROUP * torch.arange(groups)).clamp(0, GROUP)
    quota = torch.minimum((sizes * painted + uniform[0]).floor().long(), sizes)
    if groups and int(quota.max()) > styles:
        raise ImpastoError(
            f"{int(quota.max())} images of one group have a style each, but there are {styles} styles",
            where="style.count",
            remedy=f"Set style.count to at least {GROUP}.",
        )
    low, high = interval
    alpha = (low + (high - low) * uniform[1]).float()
    picks = torch.rand(groups, styles, generator=source).argsort(1)[:, :GROUP]
    place = torch.arange(count)
    group, rank = place // GROUP, place % GROUP
    kept = rank < quota[group]
    style = torch.where(kept, picks[group, rank.clamp(max=max(picks.shape[1] - 1, 0))], UNPAINTED)
    return style, alpha[group]
