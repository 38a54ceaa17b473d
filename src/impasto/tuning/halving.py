"""Asynchronous successive halving: which trials are worth more epochs (ASHA, Li et al. 2020, in its stopping form).

The rule is that of Ray Tune's ``ASHAScheduler`` with one bracket: at a rung a trial goes on unless it is worse than
the (1 - 1/reduction) quantile of those that have been there before it.
"""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from impasto.config.tune import Halving


class Rungs:
    """The scores at each rung, in the order in which trials came there.

    Args:
        config: None has no rungs and stops nothing.
        epochs: of a whole trial.

    Attributes:
        places: the epochs at which trials are compared, ascending.
    """

    def __init__(self, config: Halving | None, epochs: int) -> None:
        self._config = config
        steps = [config.grace * config.reduction**k for k in range(32)] if config else []
        self.places: list[int] = list(takewhile(lambda place: place < epochs, steps))
        self._scores: dict[int, list[float]] = {place: [] for place in self.places}

    def after(self, epoch: int) -> int | None:
        """The next rung after an epoch."""
        return next((place for place in self.places if place > epoch), None)

    def passes(self, place: int, score: float) -> bool:
        """Let a trial enter a rung; whether it goes on. Higher scores are better."""
        if self._config is None or place not in self._scores:
            return True
        before = self._scores[place]
        cutoff = np.nanpercentile(before, (1 - 1 / self._config.reduction) * 100) if before else -np.inf
        before.append(score)
        return bool(score >= cutoff)
