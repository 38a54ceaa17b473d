"""Section ``balance``: how often each class is drawn."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from impasto.config.base import Section


class Balance(Section):
    """Class weights of the sampler."""

    key: ClassVar[str] = "balance"
    strength: float = Field(
        ge=0,
        le=1,
        description="class c is drawn in proportion to n_c^(1 - strength): 0 as frequent as it is, 1 uniform",
    )
