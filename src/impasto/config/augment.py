"""Section ``augment``: rule-based augmentation."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from impasto.config.base import Section


class Augment(Section):
    """Flip, crop, TrivialAugment and random erasing, in this order."""

    key: ClassVar[str] = "augment"
    flip: bool = Field(description="mirror every second image, at random (wrong for digits)")
    crop: int = Field(ge=0, le=64, description="zero padding of the random crop, px; 0 is off")
    trivial: bool = Field(description="TrivialAugment: one random operation per image")
    erase: float = Field(ge=0, le=1, description="probability of random erasing")
