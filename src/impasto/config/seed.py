"""The seeds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from impasto.config.base import Section

NonNegative = Annotated[int, Field(ge=0)]


class Seed(Section):
    """The seed of everything that is made once: split, generator, selection, styles, Fréchet curve."""

    seed: NonNegative = Field(description="seed of split, generator, selection, styles and Fréchet curve")


class Seeds(Section):
    """The seeds of the classifiers: one training run each."""

    seeds: list[NonNegative] = Field(min_length=1, description="seeds of the classifiers: one training run each")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed stands twice")
        return seeds
