"""A share that may change from epoch to epoch: a number, or a mapping from epochs to numbers.

``{0: 0.5, 40: 0.3}`` is 0.5 in the epochs 0 to 39 and 0.3 from epoch 40 on. Policies of population-based training
are of this kind: constant between two changes (Jaderberg et al. 2017; Siedel et al., Figure 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from impasto.config.base import is_schedule

Share = Annotated[float, Field(ge=0, le=1)]
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_ONE: TypeAdapter[float] = TypeAdapter(Share, config=_STRICT)
_MANY: TypeAdapter[dict[Any, float]] = TypeAdapter(dict[Any, Share], config=_STRICT)


@dataclass(frozen=True)
class Schedule:
    """Values in [0, 1], each from an epoch on; the first one from epoch 0, epochs ascending."""

    steps: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{epoch}: {value:g}" for epoch, value in self.steps) + "}"


def at(value: float | Schedule, epoch: int) -> float:
    """The value in an epoch, counted from 0; a number is the same in all of them."""
    if not isinstance(value, Schedule):
        return value
    return [number for start, number in value.steps if start <= epoch][-1]


def values(value: float | Schedule) -> tuple[float, ...]:
    """All values in the order of their epochs."""
    return tuple(number for _, number in value.steps) if isinstance(value, Schedule) else (value,)


def _read(value: Any) -> float | Schedule:
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, Mapping):
        return _ONE.validate_python(value)
    if not is_schedule(value):
        raise PydanticCustomError("schedule", "it must be a number, or map epochs to numbers: {0: 0.5, 40: 0.3}")
    # JSON, and tools on the way from a command line, make texts of the keys.
    steps = tuple((int(epoch), number) for epoch, number in _MANY.validate_python(dict(value)).items())
    epochs = [epoch for epoch, _ in steps]
    if epochs[0] != 0 or any(late >= later for late, later in pairwise(epochs)):
        raise PydanticCustomError("schedule", "its epochs must begin with 0 and ascend")
    return Schedule(steps)


Scheduled = Annotated[float | Schedule, PlainValidator(_read)]
"""The type of a field that takes a share or a schedule of shares."""
