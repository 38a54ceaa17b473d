"""Phases of a run: epochs with the same blocks open, and the learning rate of each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from impasto.config.train import BatchNorm, Train


@dataclass(frozen=True)
class Phase:
    """Some epochs with the same blocks open.

    Attributes:
        epochs: number of epochs.
        rate: learning rate of an epoch of the phase, counted from 0.
        open: number of blocks that learn, counted from the head; None opens all.
        batch_norm: whose batch-norm statistics move on: ``frozen`` none's, ``train`` those of open blocks, ``all``.
        average: first epoch of the phase after which weights are averaged; None never.
    """

    epochs: int
    rate: Callable[[int], float]
    open: int | None = None
    batch_norm: BatchNorm = "train"
    average: int | None = None


def cosine_restarts(epoch: float, rate: float, period: int, factor: int) -> float:
    """Learning rate with warm restarts (Loshchilov and Hutter 2017, eq. 5), down to 0 in each cycle."""
    while epoch >= period:
        epoch, period = epoch - period, period * factor
    return rate * (1 + math.cos(math.pi * epoch / period)) / 2


def base_phase(train: Train) -> Phase:
    """Training: cosine restarts or steps, then a linear move to the averaging rate, which stays.

    Averaged are the epochs at whose end more than ``start`` of all have passed; 1 averages none. The first of them
    still has the rate of the cosine, as when torch's ``SWALR`` is stepped after it.
    """
    averaging, first = train.averaging, math.floor(train.averaging.start * train.epochs + 1e-9)

    def plain(epoch: int) -> float:
        if train.steps is not None:
            return train.learning_rate * 0.1 ** sum(step <= epoch for step in train.steps)
        return cosine_restarts(epoch, train.learning_rate, train.period, train.period_factor)

    def rate(epoch: int) -> float:
        before = plain(min(epoch, first))
        if epoch < first:
            return before
        moved = min((epoch - first) / averaging.anneal, 1.0)
        return before + moved * (averaging.learning_rate - before)

    average = first if first < train.epochs else None
    return Phase(train.epochs, rate, open=train.open, batch_norm=train.batch_norm, average=average)
