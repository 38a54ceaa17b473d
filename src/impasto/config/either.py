"""Parameters that take values of two kinds: one rule and one message, where a union would have one for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError


def either(allowed: Callable[[Any], bool], must: str) -> PlainValidator:
    """Take what ``allowed`` says yes to, as it is; of anything else say that it must be ``must``."""

    def checked(value: Any) -> Any:
        if allowed(value):
            return value
        raise PydanticCustomError("either", f"it must be {must}")

    return PlainValidator(checked)


def is_number(value: Any, least: float = 0) -> bool:
    """Whether a value is a finite number of ``least`` or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < float("inf")
