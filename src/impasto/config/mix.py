"""The papers' symbols: what share of the images is synthetic, what share is stylised and how strongly."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section

Share = Annotated[float, Field(ge=0, le=1)]
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


class Mix(Strength):
    """Shares, strengths and how style and TrivialAugment combine (Siedel et al., section 4)."""

    lambda_: Share = Field(alias="lambda", description="share of synthetic images in every batch")
    lambda_o: Share = Field(description="probability that an original image is stylised")
    lambda_s: Share = Field(description="probability that a synthetic image is stylised")
    alpha_o: Interval = Field(description="style strength of original images: [low, high], drawn uniformly per image")
    combine_o: Combine = Field(
        description="original images: TrivialAugment on stylised ones too (and) or only on the others (or)"
    )
    combine_s: Combine = Field(
        description="synthetic images: TrivialAugment on stylised ones too (and) or only on the others (or)"
    )
