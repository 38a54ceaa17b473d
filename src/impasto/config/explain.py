"""Section ``explain``: what is shown of where the classifier looks, and of how sure it is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from impasto.config.base import Section


class Explain(Section):
    """How many images are shown, and how maps of originals and of stylised twins are compared."""

    key: ClassVar[str] = "explain"
    ranked: int = Field(
        ge=1, description="easiest and hardest test images listed for each class; 8 of each at most are shown"
    )
    shown: int = Field(ge=1, le=20, description="test images, drawn by the seed, whose maps are shown")
    overlap: int = Field(
        ge=2, description="test images, drawn by the seed, whose maps are compared with those of stylised twins"
    )
    share: float = Field(gt=0, lt=1, description="share of a map's positions, its highest, whose overlap is measured")
