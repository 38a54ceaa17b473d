"""Copies that balance the classes: which images are shown again, and in which style (ST-SACLF, arXiv 2408.01827).

A class of n images gets round(m n) copies, m being p1 for majority and p2 for rare classes. They are drawn once, before
training, unless ``finetune.copies`` has them drawn anew for each stage, and are rows like any other from then on: the
original stream has n (1 + m) rows of the class, of which an epoch draws as it draws anyway. So class c is shown in
proportion to n_c (1 + m_c), and m_c / (1 + m_c) of it are copies. Lambda and lambda_o act beside that: with all
copies 0 the sampler is that of Siedel et al.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.config.balance import Balance, Kind
from impasto.config.mix import Combine, Interval
from impasto.errors import ImpastoError
from impasto.mix import Plan
from impasto.rng import generator

NO_STYLE = -1
"""The style of a copy that has none."""

_TYPES = (torch.int64, torch.int64, torch.float32, torch.int64)


class Copies(NamedTuple):
    """The pairs, by class and in the order in which they were drawn; CPU tensors [K].

    Attributes:
        kind: what a copy is, as ``balance.copy`` says.
        first: the row of the stream that the first of them becomes: how many images there are.
        content: int64, row of the original stream.
        style: int64, row of the style bank, or ``NO_STYLE``.
        alpha: float32 in [0, 1], style strength.
        replicate: int64, how many copies the image had before this one.
    """

    kind: Kind
    first: int
    content: Tensor
    style: Tensor
    alpha: Tensor
    replicate: Tensor


class Redraw(NamedTuple):
    """How copies are drawn anew for a stage of fine-tuning: as many of each class, so that labels stay what they are.

    Attributes:
        hardest: whether the images of which the model is least sure are copied.
        draw: number of the stage, and float32 [N] how sure the model is of each image's class, where that counts.
    """

    hardest: bool
    draw: Callable[[int, Tensor | None], Copies]


class Bank(NamedTuple):
    """What copies draw their styles from.

    Attributes:
        styles: number of styles.
        labels: int64 [styles], the class of each, where the styles are the images of the original stream in its order;
            else None.
    """

    styles: int
    labels: Tensor | None


def draw_copies(
    labels: Tensor,
    copies: Sequence[int],
    bank: Bank,
    balance: Balance,
    alpha: Interval,
    seed: int,
    stage: int | None = None,
    sure: Tensor | None = None,
) -> Copies:
    """Draw the pairs of all classes.

    Every class has generators of its own, keyed by (seed, purpose, class): the copies of one do not depend on how many
    another has, and more of them leave the first ones what they were.

    Args:
        labels: int64 [N], the original stream's.
        copies: how many each class gets.
        bank: where the styles come from.
        balance: copy, styles, replace.
        alpha: [low, high] of the style strength.
        seed: the pipeline's seed: one set of pairs for all training runs.
        stage: number of the stage of fine-tuning for which they are drawn anew, a further part of the key.
        sure: float32 [N]; the images with the lowest numbers are copied, each once before any a second time, in place
            of images drawn at random.

    Raises:
        ImpastoError: copies are asked for of a class without images.
    """
    draws = _Draws(seed, () if stage is None else (stage,), balance.replace, sure)
    parts = [_of_class(labels, c, n, bank, balance, alpha, draws) for c, n in enumerate(copies) if n]
    columns = zip(*parts, strict=True) if parts else ((torch.zeros(0, dtype=kind),) for kind in _TYPES)
    return Copies(balance.copy_, len(labels), *map(torch.cat, columns))


def show_copies(plan: Plan, copies: Copies, combine: Combine) -> Plan:
    """A plan over a stream that ends with the copies, with what the copies say in their columns.

    Stylised copies and reconstructions are shown as they were drawn, whatever lambda_o says. With ``rules``
    TrivialAugment acts on copies alone. A duplicate is treated like any other image.

    Args:
        plan: drawn from the original images, followed by one row for each copy.
        copies: those rows.
        combine: whether TrivialAugment acts on stylised copies too.
    """
    if copies.kind == "duplicate" or not len(copies.content):
        return plan
    own = ~plan.synthetic & (plan.row >= copies.first)
    if copies.kind == "rules":
        return plan._replace(trivial=own)
    at = (plan.row - copies.first).clamp(min=0) * own  # 0 where it is no copy, and not looked at
    return plan._replace(
        stylised=plan.stylised | own,
        style=torch.where(own, copies.style[at], plan.style),
        alpha=torch.where(own, copies.alpha[at], plan.alpha),
        trivial=torch.where(own, torch.tensor(combine == "and"), plan.trivial),
    )


class _Draws(NamedTuple):
    """Where draws come from: a seed, what else keys them, whether they repeat, and what replaces those of images."""

    seed: int
    stage: tuple[int, ...]
    replace: bool
    sure: Tensor | None

    def source(self, purpose: str, c: int) -> torch.Generator:
        return generator(self.seed, purpose, c, *self.stage)

    def styles(self, pool: Tensor, n: int, c: int) -> Tensor:
        return pool[_draw(len(pool), n, self.replace, self.source("copies-style", c))[0]]

    def images(self, rows: Tensor, n: int, c: int) -> tuple[Tensor, Tensor]:
        """Which of a class's images, int64 [n], and how often each was drawn before, int64 [n]."""
        if self.sure is None:
            pick, replicate = _draw(len(rows), n, self.replace, self.source("copies-content", c))
            return rows[pick], replicate
        order, turn = rows[self.sure[rows].argsort(stable=True)], torch.arange(n)
        return order[turn % len(rows)], turn // len(rows)


def _of_class(
    labels: Tensor, c: int, n: int, bank: Bank, balance: Balance, alpha: Interval, draws: _Draws
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Content, style, alpha and replicate of the copies of one class."""
    rows = (labels == c).nonzero()[:, 0]
    if not len(rows):
        raise ImpastoError(
            f"class {c} is to have {n} copies, but it has no images",
            where="balance",
            remedy="Leave the class out, or give it training images.",
        )
    content, replicate = draws.images(rows, n, c)
    style, strength = torch.full((n,), NO_STYLE), torch.zeros(n)
    if balance.copy_ == "style":
        style = draws.styles(_pool(bank, c, balance), n, c)
        low, high = alpha
        strength = low + (high - low) * torch.rand(n, generator=draws.source("copies-alpha", c))
    elif balance.copy_ == "reconstruction":
        style = torch.zeros(n, dtype=torch.int64)  # at alpha 0 no style is seen
    return content, style, strength, replicate


def _pool(bank: Bank, c: int, balance: Balance) -> Tensor:
    """The styles that copies of a class may have."""
    if balance.styles == "any":
        return torch.arange(bank.styles)
    if bank.labels is None:
        raise ImpastoError(
            "balance.styles is class, but the styles have no classes",
            where="balance.styles, style.bank",
            remedy="Set style.bank to training, or balance.styles to any.",
        )
    return (bank.labels == c).nonzero()[:, 0]


def _draw(population: int, n: int, replace: bool, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n of so many, int64 [n], and how often each was drawn before, int64 [n]."""
    if replace:
        drawn = torch.randint(population, (n,), generator=source)
    else:
        rounds = -(-n // population)
        drawn = torch.cat([torch.randperm(population, generator=source) for _ in range(rounds)])[:n]
    order = drawn.argsort(stable=True)
    counts = drawn.bincount(minlength=population)
    before = torch.empty_like(drawn)
    before[order] = torch.arange(n) - (counts.cumsum(0) - counts)[drawn[order]]
    return drawn, before
