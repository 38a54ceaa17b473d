"""Population-based training of the shares: who takes over whose training, and with which shares it goes on.

Jaderberg et al. 2017, as Siedel et al. use it (section 7 of their supplement names Ray Tune's version): at every
comparison the worst members take the weights, the optimiser and the epoch of members drawn from the best, and their
shares, each moved to a neighbouring value. The rule is that of Ray Tune's ``PopulationBasedTraining`` with ``synch``.
Ray keeps its state in memory and draws without a seed; here a comparison is a function of the scores and a seed, so
that a search which was killed makes the same moves again.

All members draw their images with the same seed. So a member's schedule, with that of its ancestors in front, is all
that distinguishes its training: `train` with this schedule is the same run, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from impasto.config.tune import Search
from impasto.rng import numpy_generator

Shares = dict[str, float]
Schedules = dict[str, dict[int, float]]
"""Leaf -> epoch -> value, as params.yaml takes it; epochs ascend from 0."""


class Move(NamedTuple):
    """A member goes on with another one's training, and with these shares."""

    member: int
    donor: int
    shares: Shares


def boundaries(search: Search, epochs: int) -> list[int]:
    """The epochs after which members are compared, and the last one: none before ``burn_in`` is over."""
    assert search.interval
    first = max(1, math.ceil(search.burn_in / search.interval)) * search.interval
    return [*range(first, epochs, search.interval), epochs]


def beginnings(search: Search, base: Mapping[str, float], seed: int) -> list[Shares]:
    """The shares of each member at first: the base's, then neighbours of them, or for ``start: random`` any."""
    draws = numpy_generator(seed, "population", "start")
    resample = 1.0 if search.start == "random" else 0.0
    others = [_moved(search, base, draws, resample) for _ in range((search.trials or 0) - 1)]
    return [dict(base), *others]


def compare(search: Search, scores: Sequence[float], shares: Sequence[Shares], seed: int, epoch: int) -> list[Move]:
    """Who is replaced after an epoch; of equal scores the later member counts as the better one, as in Ray.

    Args:
        search: quantile, values of the shares and probability to draw them anew.
        scores: of each member, higher is better; NaN: it has failed, and is replaced whatever the quantile; not all.
        shares: of each member.
        seed: of the search.
        epoch: after which they are compared.
    """
    draws = numpy_generator(seed, "population", epoch)
    order = sorted(range(len(scores)), key=lambda member: _sortable(scores[member]))
    count = math.ceil(len(scores) * search.quantile)
    count = math.floor(len(scores) / 2) if count > len(scores) / 2 else count
    failed = [member for member in order[count:] if math.isnan(scores[member])]
    best = [member for member in order[-count:] if member not in failed]
    moves = []
    for member in [*order[:count], *failed]:
        donor = best[int(draws.integers(len(best)))]
        moves.append(Move(member, donor, _moved(search, shares[donor], draws, search.resample)))
    return moves


def extended(schedules: Schedules, shares: Mapping[str, float], epoch: int) -> Schedules:
    """Schedules that go on with other shares from an epoch on; where one stays the same nothing is added."""
    found = {leaf: dict(steps) for leaf, steps in schedules.items()}
    for leaf, value in shares.items():
        steps = found.setdefault(leaf, {})
        if not steps or steps[max(steps)] != value:
            steps[epoch] = value
    return found


def at_end(schedules: Schedules) -> Shares:
    """The shares with which schedules end."""
    return {leaf: steps[max(steps)] for leaf, steps in schedules.items()}


def _moved(search: Search, shares: Mapping[str, float], draws: np.random.Generator, resample: float) -> Shares:
    """Each share one value up or down, at the ends perhaps not at all; or, by chance ``resample``, any value."""
    found = {}
    for each in search.space:
        values: list[float] = each.values or []
        place = values.index(shares[each.parameter]) + (1 if draws.random() < 0.5 else -1)
        anywhere = int(draws.integers(len(values)))  # always drawn: another probability shifts nothing else
        found[each.parameter] = values[anywhere if draws.random() < resample else min(max(place, 0), len(values) - 1)]
    return found


def _sortable(score: float) -> float:
    return -math.inf if math.isnan(score) else score
