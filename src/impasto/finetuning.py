"""Gradual unfreezing (Howard and Ruder 2018): the head first, then more blocks at falling learning rates."""

from __future__ import annotations

import math

from impasto.config.finetune import Finetune, Unfreezing
from impasto.phase import Phase


def phases(config: Finetune) -> list[Phase]:
    """The phases of the training loop that stand for the unfreezing stages."""
    return [_phase(stage) for stage in config.stages]


def _phase(stage: Unfreezing) -> Phase:
    def rate(epoch: int) -> float:
        return stage.learning_rate * (1 + math.cos(math.pi * epoch / stage.epochs)) / 2

    return Phase(stage.epochs, rate, open=stage.open, batch_norm=stage.batch_norm)
