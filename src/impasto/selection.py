"""Early stopping, and the best model so far: what a run does next follows from the scores of its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from impasto.config.selection import Selection
from impasto.validation import Row


def following(lengths: Sequence[int], scores: Sequence[float], patience: int, first: float = -float("inf")) -> int:
    """Which epoch of a schedule comes next, when every phase may end early.

    Args:
        lengths: epochs of each phase.
        scores: of the epochs that were run, higher is better.
        patience: a phase ends after so many epochs without a better score than all before, in any phase; 0 never.
        first: score of the model with which the run began.

    Returns:
        The epoch's number in the whole schedule, those left out counted; the sum of the lengths if none is left.
    """
    best, done, begin = first, 0, 0
    for length in lengths:
        waited = 0
        for local in range(length):
            if done == len(scores):
                return begin + local
            waited = 0 if scores[done] > best else waited + 1
            best, done = max(best, scores[done]), done + 1
            if patience and waited == patience:
                break
        begin += length
    return begin


class Best:
    """The best model of a run so far, that with which it began included; of equal ones the earliest.

    Args:
        config: by which number of the validation images.

    Attributes:
        row: its numbers on the validation images.
        epoch: how many epochs of the run it has seen.
        scores: of the beginning and then of each epoch, higher is better.
    """

    def __init__(self, config: Selection) -> None:
        self.config, self.row, self.epoch = config, Row(), 0
        self.scores: list[float] = []
        self._weights: dict[str, Tensor] = {}

    def see(self, model: nn.Module, row: Row) -> None:
        """Let a model and its numbers on the validation images enter, first of all that of the beginning."""
        value = row[self.config.metric]
        score = -value if self.config.metric == "loss" else value
        score = -math.inf if math.isnan(score) else score  # which is less than none: it would hide all that follow
        if not self.scores or score > max(self.scores):
            self.row, self.epoch = row, len(self.scores)
            self._weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.scores.append(score)

    def next(self, lengths: Sequence[int]) -> int:
        """Which epoch of a schedule comes next, see :func:`following`."""
        first, *scores = self.scores or [0.0]  # without phases nothing was seen
        return following(lengths, scores, self.config.patience, first)

    def put_into(self, model: nn.Module) -> None:
        """Give a model the weights and statistics of the best one."""
        model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {"row": self.row, "epoch": self.epoch, "scores": self.scores, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`."""
        self.row, self.epoch, self.scores = state["row"], state["epoch"], state["scores"]
        self._weights = state["weights"]
