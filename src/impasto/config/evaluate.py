"""Section ``evaluate``: corruption robustness on the test split."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from impasto.config.base import Section


class Evaluate(Section):
    """Which corruptions at which severities, and how uncertainty is estimated."""

    key: ClassVar[str] = "evaluate"
    corruptions: list[str] = Field(
        min_length=1, description="corruptions that enter C: names, or c, the 19 of -C, or c15, 15 of them"
    )
    c_bar: list[str] = Field(
        description="corruptions that enter C_bar: names, or c-bar, the ten of its list; an empty list measures none"
    )
    severities: list[Annotated[int, Field(ge=1, le=5)]] = Field(min_length=1, description="severities, 1 to 5")
    corrupted: Literal["generated", "official"] = Field(
        description="corrupted images: generated from the test images on the fly, or a benchmark's official files"
    )
    root: str | None = Field(description="folder of the official files, or of folders that hold them; null: generated")
    frost_bank: str | None = Field(
        description="folder of the benchmark's frost photographs; null: those of an installed imagecorruptions package"
    )
    table: Literal["auto", "cifar", "tin", "imagenet"] = Field(
        description="severity constants of CIFAR-C (32 px), TinyImageNet-C (64), ImageNet-C (224); auto: by image size"
    )
    reference: str | None = Field(
        description="corruptions.csv of the run whose first model mCE compares with; null: no mCE"
    )
    seed: int = Field(ge=0, description="seed of the corruptions' noise")
    bootstrap: int = Field(ge=100, description="bootstrap resamples of the test images behind each interval")

    @field_validator("corruptions", "c_bar", "severities")
    @classmethod
    def _distinct(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("an entry stands twice")
        return values

    @model_validator(mode="after")
    def _no_idle_photographs(self) -> Self:
        if self.corrupted == "official" and self.frost_bank is not None:
            raise ValueError("evaluate.frost_bank is set, but evaluate.corrupted official holds its own frost")
        return self
