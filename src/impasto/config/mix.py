"""The papers' symbols: what share of the images is synthetic, what share is stylised and how strongly."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from impasto.config.base import Section
from impasto.config.schedule import Scheduled, Share, at, values

Interval = Annotated[tuple[Share, Share], Field(strict=False)]
Combine = Literal["and", "or"]


class Strength(Section):
    """Style strength of synthetic images; all that the Fréchet curve needs to know of the mix."""

    alpha_s: Interval = Field(description="style strength of synthetic images: [low, high], drawn uniformly per image")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, interval in self.__dict__.items():
            if name.startswith("alpha_") and interval[0] > interval[1]:
                raise ValueError(f"{name}: low {interval[0]} is above high {interval[1]}")
        return self


class Shares(NamedTuple):
    """The three shares in one epoch, each in [0, 1]."""

    lambda_: float
    lambda_o: float
    lambda_s: float


class Mix(Strength):
    """Shares, strengths and how style and TrivialAugment combine (Siedel et al., section 4)."""

    lambda_: Scheduled = Field(alias="lambda", description="share of synthetic images in every batch")
    lambda_o: Scheduled = Field(description="probability that an original image is stylised")
    lambda_s: Scheduled = Field(description="probability that a synthetic image is stylised")
    alpha_o: Interval = Field(description="style strength of original images: [low, high], drawn uniformly per image")
    combine_o: Combine = Field(
        description="original images: TrivialAugment on stylised ones too (and) or only on the others (or)"
    )
    combine_s: Combine = Field(
        description="synthetic images: TrivialAugment on stylised ones too (and) or only on the others (or)"
    )

    def at(self, epoch: int) -> Shares:
        """The shares in an epoch of training, counted from 0."""
        return Shares(*(at(getattr(self, name), epoch) for name in Shares._fields))

    def last(self) -> Mix:
        """The mix that training ends with, for all epochs: each share's last value."""
        return self.model_copy(update={name: values(getattr(self, name))[-1] for name in Shares._fields})

    @property
    def most_synthetic(self) -> float:
        """The largest lambda of all epochs."""
        return max(values(self.lambda_))

    @property
    def most_stylised(self) -> float:
        """The largest lambda_o of all epochs."""
        return max(values(self.lambda_o))
