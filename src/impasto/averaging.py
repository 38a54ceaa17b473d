"""Equal-weight averaging of weights along training (stochastic weight averaging, Izmailov et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class WeightAverage:
    """The running mean of a model's parameters.

    Buffers are copied from the last model and not averaged: the batch-norm statistics of the mean
    weights are not the mean of the statistics, see :func:`refresh_batch_norm`.

    Args:
        model: the model to average; it is copied.

    Attributes:
        model: carries the mean of the parameters once ``count`` is positive.
        count: how many models have entered.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = deepcopy(model)
        self.count = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Let one more model enter the mean."""
        self.count += 1
        for mean, current in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(current.to(mean.device), 1 / self.count)
        for last, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            last.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """``count`` and the averaged model's own ``state_dict``: all that a resumed run needs."""
        return {"count": self.count, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`."""
        self.count = int(state["count"])
        self.model.load_state_dict(state["model"])


@torch.no_grad()
def refresh_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the batch-norm statistics by their means over some batches (Izmailov et al. 2018, section 3.2).

    Every batch has the same weight, whatever its size. The model runs in training mode, dropout included,
    and afterwards is in the mode in which it came.

    Args:
        model: a model with or without batch normalisation.
        batches: what the model takes, on its device; read once.

    Raises:
        ValueError: there is no batch.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta, training = [norm.momentum for norm in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean instead of an exponential one
    model.train()
    passes = 0
    try:
        for passes, batch in enumerate(batches, start=1):  # noqa: B007
            model(batch)
    finally:
        model.train(training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    if not passes:
        raise ValueError("batch-norm statistics need at least one batch")
