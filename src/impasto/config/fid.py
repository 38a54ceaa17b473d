"""Section ``fid``: how the Fréchet distance of the synthetic images from the training images is measured."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section

#: Extractor -> D, the length of its feature vectors; a covariance of full rank takes D + 1 images.
DIMENSIONS = {"efficientnet_lite0_112": 112, "inception_v3": 2048}


class Fid(Section):
    """Extractor, number of images and number of points of the curve over lambda_s."""

    key: ClassVar[str] = "fid"
    extractor: Literal["efficientnet_lite0_112", "inception_v3"] = Field(
        description="network whose features are compared; values of different extractors cannot be compared"
    )
    weights: str | None = Field(description="file of inception_v3's published weights; null downloads them")
    n: int = Field(ge=113, le=1_000_000, description="synthetic images measured, more than a feature has dimensions")
    points: int = Field(
        ge=2, le=101, description="points of the curve over lambda_s from 0 to 1; 11 gives steps of 0.1"
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        needed = DIMENSIONS[self.extractor] + 1
        if self.n < needed:
            raise ValueError(
                f"fid.n is {self.n}, but {self.extractor} has {needed - 1} dimensions and needs {needed} images or more"
            )
        if self.weights is not None and self.extractor != "inception_v3":
            raise ValueError(f"fid.weights is set, but {self.extractor} brings its own: only inception_v3 takes a file")
        return self
