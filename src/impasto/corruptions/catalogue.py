"""The one place where corruptions are declared: a decorator that records how each one is drawn and applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.corruptions.counter_rng import CounterRng

Operation = Callable[..., Tensor]
Draw = Callable[[CounterRng, tuple[int, int], tuple[float, ...]], Any]
"""(streams of the batch, (height, width), parameters) -> the draws that the operation takes."""


@dataclass(frozen=True)
class Corruption:
    """One corruption: a pure operation on a batch, and the draws it needs.

    Attributes:
        name: the benchmark's name for it.
        operation: ``operation(images[, draws], *parameters[, dtype=])``, uint8 [B, 3, H, W] to the same.
        draw: what makes its draws; None where it is deterministic.
        integer: whether it takes no working precision: it works on the bytes alone, or as precisely as its benchmark.
        whole: whether it takes a batch of any size, and itself works on a few images at a time.
    """

    name: str
    operation: Operation
    draw: Draw | None
    integer: bool
    whole: bool = False

    @property
    def stochastic(self) -> bool:
        """Whether two seeds give two results."""
        return self.draw is not None

    def __call__(
        self, images: Tensor, rng: CounterRng, parameters: tuple[float, ...], dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Draw from ``rng`` where the corruption is stochastic, and apply it to uint8 [B, 3, H, W]."""
        size = (images.shape[2], images.shape[3])
        draws = () if self.draw is None else (self.draw(rng, size, parameters),)
        precision = {} if self.integer else {"dtype": dtype}
        return self.operation(images, *draws, *parameters, **precision)


CATALOGUE: dict[str, Corruption] = {}
"""Every declared corruption by name, in the order of declaration."""


def corruption(
    *, draw: Draw | None = None, integer: bool = False, whole: bool = False
) -> Callable[[Operation], Operation]:
    """Declare the decorated function as the corruption of its own name (see :class:`Corruption`)."""

    def declare(operation: Operation) -> Operation:
        name = operation.__name__
        assert name not in CATALOGUE, f"{name} is declared twice"
        CATALOGUE[name] = Corruption(name, operation, draw, integer, whole)
        return operation

    return declare
