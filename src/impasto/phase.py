"""Phases of a run: epochs with the same blocks open, and the learning rate of each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from impasto.config.train import Train


@dataclass(frozen=True)
class Phase:
    """Some epochs with the same blocks open.

    Attributes:
        epochs: number of epochs.
        rate: learning rate of an epoch of the phase, counted from 0.
        open: number of blocks that learn, counted from the head; None opens all.
        batch_norm: whether batch-norm statistics of open blocks move on.
        average: first epoch of the phase after which weights are averaged; None never.
    """

    epochs: int
    rate: Callable[[int], float]
    open: int | None = None
    batch_norm: bool = True
    average: int | None = None


def cosine_restarts(epoch: float, rate: float, period: int, factor: int) -> float:
    """Learning rate with warm restarts (Loshchilov and Hutter 2017, eq. 5), down to 0 in each cycle."""
    while epoch >= period:
        epoch, period = epoch - period, period * factor
    return rate * (1 + math.cos(math.pi * epoch / period)) / 2


def base_phase(train: Train) -> Phase:
    """Training from scratch: cosine restarts, then a linear move to the averaging rate, which stays.

    Averaged are the epochs at whose end more than ``start`` of all have passed; 1 averages none. The first of them
    still has the rate of the cosine, as when torch's ``SWALR`` is stepped after it.
    """
    averaging, first = train.averaging, math.floor(train.averaging.start * train.epochs + 1e-9)

    def rate(epoch: int) -> float:
        before = cosine_restarts(min(epoch, first), train.learning_rate, train.period, train.period_factor)
        if epoch < first:
            return before
        moved = min((epoch - first) / averaging.anneal, 1.0)
        return before + moved * (averaging.learning_rate - before)

    return Phase(train.epochs, rate, average=first if first < train.epochs else None)
