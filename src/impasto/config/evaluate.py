"""Section ``evaluate``: corruption robustness on the test split."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from impasto.config.base import Section


class Evaluate(Section):
    """Which corruptions at which severities, and how uncertainty is estimated."""

    key: ClassVar[str] = "evaluate"
    corruptions: list[str] = Field(min_length=1, description="corruptions that enter C, by name")
    severities: list[Annotated[int, Field(ge=1, le=5)]] = Field(min_length=1, description="severities, 1 to 5")
    table: Literal["auto", "cifar", "tin", "imagenet"] = Field(
        description="severity constants of CIFAR-C (32 px), TinyImageNet-C (64), ImageNet-C (224); auto: by image size"
    )
    seed: int = Field(ge=0, description="seed of the corruptions' noise")
    bootstrap: int = Field(ge=100, description="bootstrap resamples of the test images behind each interval")

    @field_validator("corruptions", "severities")
    @classmethod
    def _distinct(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("an entry stands twice")
        return values
