"""What repeated runs say: differences paired by seed, corrected where there are several, and rank correlations.

Scores are fractions, one for each seed in the same order of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.metrics import Interval, over_seeds

LEVEL = 0.95


class Effect(NamedTuple):
    """A mean over seeds with its interval, and the level of that interval."""

    mean: float
    interval: Interval
    level: float


def paired(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """The difference of two arms for each seed.

    Raises:
        ValueError: they have not the same number of seeds.
    """
    return [one - other for one, other in zip(ours, theirs, strict=True)]


def effect(values: Sequence[float], level: float = LEVEL) -> Effect:
    """The mean of differences and its Student t interval; two seeds or more."""
    found = over_seeds(values, level)
    if found.interval is None:
        raise ValueError(f"{len(values)} seed(s) give no interval")
    return Effect(found.mean, found.interval, level)


def holm(differences: Mapping[str, Sequence[float]], level: float = LEVEL) -> dict[str, Effect]:
    """Several mean differences whose intervals leave out zero exactly where Holm's procedure rejects it.

    Holm (1979) tests the surest of m differences at (1 - level) / m, the next at (1 - level) / (m - 1) and so on, and
    stops at the first that is not rejected. Each interval has the level of its own test, and those from the first
    failure on have that one's: zero lies in all of these.

    Args:
        differences: one value per seed, by name.
        level: probability that no difference of zero is rejected.
    """
    order = sorted(differences, key=lambda name: probability(differences[name]))
    found: dict[str, Effect] = {}
    left = len(order)
    for name in order:
        found[name] = effect(differences[name], 1 - (1 - level) / left)
        if side(found[name].interval):
            left -= 1
    return {name: found[name] for name in differences}


def probability(values: Sequence[float]) -> float:
    """The two-sided p of Student's t test that the mean is 0; all alike gives 0, or 1 where they are 0."""
    from scipy.special import stdtr

    found = over_seeds(values)
    if not found.std:
        return float(found.mean == 0)
    return float(2 * stdtr(len(values) - 1, -abs(found.mean) / found.std * len(values) ** 0.5))


def side(interval: Interval, margin: float = 0.0) -> int:
    """1 for an interval wholly above the margin, -1 wholly below, 0 for one that holds or touches it."""
    return int(interval.low > margin) - int(interval.high < margin)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rho, ties at their mean rank; 0 where all values of one are alike, which predicts nothing."""
    one, other = (_ranks(np.asarray(each, dtype=np.float64)) for each in (x, y))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def correlation_over_seeds(x: Sequence[float], y: Sequence[Sequence[float]], level: float = LEVEL) -> Effect:
    """The mean over seeds of Spearman's rho, with the exact percentile bootstrap interval over seeds.

    All n ** n ways to draw n seeds again are counted, so that there is no random number in it. With five seeds such
    an interval is somewhat too narrow.

    Args:
        x: one value per point.
        y: for each seed one value per point.
        level: probability that the interval should cover.
    """
    found = np.array([rank_correlation(x, row) for row in y])
    n = len(found)
    draws = np.array(list(combinations_with_replacement(range(n), n)))
    counts = [prod(map(factorial, np.bincount(draw, minlength=n).tolist())) for draw in draws]
    weights = factorial(n) / np.array(counts, dtype=np.float64)
    low, high = _quantiles(found[draws].mean(axis=1), weights, ((1 - level) / 2, (1 + level) / 2))
    return Effect(float(found.mean()), Interval(low, high), level)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.mean(np.flatnonzero(np.sort(values) == one)) for one in values])


def _quantiles(values: NDArray[np.float64], weights: NDArray[np.float64], at: Sequence[float]) -> list[float]:
    """The smallest values below or at which so much of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][np.searchsorted(reached, share - 1e-12)]) for share in at]
