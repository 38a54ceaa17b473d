"""The plan of one epoch: which images are shown, which are stylised, and how.

An epoch is as long as the training split. It is drawn as a small table first and applied afterwards,
so that it can be replayed, resumed, counted and tested without touching a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.config.mix import Combine, Interval, Mix
from impasto.rng import generator


class Plan(NamedTuple):
    """One row per image shown, in the order of the batches; CPU tensors of shape [N].

    Attributes:
        synthetic: bool, whether the image comes from the synthetic stream.
        row: int64, which image of its stream.
        copy: int64, how often this epoch has drawn that row before (0 unless the stream is oversampled).
        stylised: bool, whether a style is painted over it.
        style: int64, index into the style bank.
        alpha: float32 in [0, 1], style strength.
        fresh: float32 in [0, 1), uniform: below ``style.refresh`` an earlier painting is painted anew.
        trivial: bool, whether TrivialAugment may act on it (the ``and`` / ``or`` of ``combine_*``).
    """

    synthetic: Tensor
    row: Tensor
    copy: Tensor
    stylised: Tensor
    style: Tensor
    alpha: Tensor
    fresh: Tensor
    trivial: Tensor

    def batches(self, size: int) -> list[slice]:
        """Consecutive slices of ``size`` rows; the last one may be shorter."""
        n = len(self.row)
        return [slice(start, min(start + size, n)) for start in range(0, n, size)]

    def shares(self) -> dict[str, float]:
        """Realised shares: synthetic images, and stylised ones among originals and among synthetic images."""
        original = ~self.synthetic
        return {
            "share_synthetic": _mean(self.synthetic),
            "share_stylised_o": _mean(self.stylised[original]),
            "share_stylised_s": _mean(self.stylised[self.synthetic]),
        }


def draw_plan(
    original: Tensor,
    synthetic: Tensor,
    mix: Mix,
    *,
    strength: float,
    styles: int,
    batch: int,
    seed: int,
    epoch: int,
    length: int | None = None,
) -> Plan:
    """Draw the plan of one epoch.

    Each quantity has a generator of its own, keyed by (seed, purpose, epoch). The uniform behind
    ``stylised`` does not know lambda_o or lambda_s: raising one only adds stylised images, which makes
    runs of a sweep paired.

    Args:
        original: int64 [O], labels of the training split, and of its copies if there are any.
        synthetic: int64 [M], labels of the synthetic subset.
        mix: lambda, lambda_o, lambda_s, as they are in this epoch; alpha_o, alpha_s, combine_o, combine_s.
        strength: class balance, 0 (as frequent as in the stream) to 1 (uniform).
        styles: number of styles in the bank.
        batch: images per batch; each holds its exact share of synthetic images, up to rounding.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        length: images N of the epoch; None for O.
    """
    n = len(original) if length is None else length
    shares = mix.at(epoch)
    mask = interleave(n, shares.lambda_, batch)
    row, copy = _draw_streams({"original": (original, ~mask), "synthetic": (synthetic, mask)}, strength, seed, epoch)
    uniform = {name: torch.rand(n, generator=generator(seed, name, epoch)) for name in ("stylise", "alpha", "fresh")}
    stylised = uniform["stylise"] < torch.where(mask, shares.lambda_s, shares.lambda_o)
    return Plan(
        synthetic=mask,
        row=row,
        copy=copy,
        stylised=stylised,
        style=torch.randint(max(styles, 1), (n,), generator=generator(seed, "style", epoch)),
        alpha=torch.where(mask, _between(uniform["alpha"], mix.alpha_s), _between(uniform["alpha"], mix.alpha_o)),
        fresh=uniform["fresh"],
        trivial=~stylised | torch.where(mask, _both(mix.combine_s), _both(mix.combine_o)),
    )


def interleave(n: int, share: float, batch: int) -> Tensor:
    """Spread ``share * n`` synthetic places, rounded, over n so that every batch holds its share.

    Returns:
        bool [n]; within a batch the synthetic places come last, and their number differs from
        ``share * len(batch)`` by less than one.
    """
    mask = torch.zeros(n, dtype=torch.bool)
    before = 0
    for start in range(0, n, batch):
        stop = min(start + batch, n)
        until = math.floor(share * stop + 0.5)
        mask[stop - (until - before) : stop] = True
        before = until
    return mask


def _draw_streams(
    streams: Mapping[str, tuple[Tensor, Tensor]], strength: float, seed: int, epoch: int
) -> tuple[Tensor, Tensor]:
    """Rows and copies of each stream, at the places where its mask is true; name -> (labels, mask)."""
    n = len(next(iter(streams.values()))[1])
    row, copy = torch.empty(n, dtype=torch.int64), torch.empty(n, dtype=torch.int64)
    for name, (labels, where) in streams.items():
        draws = generator(seed, f"rows-{name}", epoch)
        row[where], copy[where] = draw_rows(labels, int(where.sum()), strength, draws)
    return row, copy


def draw_rows(labels: Tensor, n: int, strength: float, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n rows of a stream, none twice before all of its group were drawn once.

    With ``strength`` 0 the whole stream is one group. Otherwise class c is drawn in proportion to
    n_c^(1 - strength), its expected count rounded by systematic sampling.

    Args:
        labels: int64 [M].
        n: number of rows to draw; may exceed M.
        strength: class balance in [0, 1].
        draws: source of randomness.

    Returns:
        (row int64 [n], copy int64 [n]), shuffled.
    """
    whole = strength == 0 or n == 0  # a stream of which nothing is drawn may be empty
    groups = [torch.arange(len(labels))] if whole else [(labels == c).nonzero()[:, 0] for c in labels.unique()]
    sizes = torch.tensor([len(group) for group in groups], dtype=torch.float64)
    weights = sizes ** (1 - strength)
    edges = (n * weights.cumsum(0) / weights.sum() + torch.rand((), generator=draws, dtype=torch.float64)).floor()
    edges[-1] = n
    quotas = edges.diff(prepend=torch.zeros(1, dtype=torch.float64)).long().tolist()
    drawn = [_repeat(group, quota, draws) for group, quota in zip(groups, quotas, strict=True)]
    order = torch.randperm(n, generator=draws)
    return torch.cat([rows for rows, _ in drawn])[order], torch.cat([copies for _, copies in drawn])[order]


def _repeat(group: Tensor, quota: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    rounds = -(-quota // max(len(group), 1))
    rows = [group[torch.randperm(len(group), generator=draws)] for _ in range(rounds)]
    picked = torch.cat(rows)[:quota] if rows else group[:0]
    return picked, torch.arange(quota) // max(len(group), 1)


def _between(uniform: Tensor, interval: Interval) -> Tensor:
    low, high = interval
    return low + (high - low) * uniform


def _both(combine: Combine) -> Tensor:
    return torch.tensor(combine == "and")


def _mean(flags: Tensor) -> float:
    return float(flags.double().mean()) if len(flags) else 0.0
