"""Section ``augment``: rule-based augmentation of images, of batches and of features."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section
from impasto.config.schedule import Share


class DeepAugment(Section):
    """Distortion by random networks, Noise2Net (Hendrycks et al. 2021)."""

    key: ClassVar[str] = "augment.deepaugment"
    share: Share = Field(description="share of each batch that is distorted; 0.5 in the paper, 0 is off")
    size: int = Field(
        ge=32,
        le=512,
        description="side at which the networks work, px, the images' or more; odd multiples of it blur nothing",
    )


class Augment(Section):
    """Images: flip, crop, TrivialAugment or AugMix, erasing. Batches: Noise2Net, mixing, noise. In this order."""

    key: ClassVar[str] = "augment"
    flip: bool = Field(description="mirror every second image, at random (wrong for digits)")
    crop: int = Field(ge=0, le=64, description="zero padding of the random crop, px; 0 is off")
    trivial: bool = Field(description="TrivialAugment: one random operation per image")
    augmix: Literal["none", "all", "official", "noisymix"] = Field(
        description="AugMix in TrivialAugment's place, by its operations: all 13 (Siedel et al.), the 9 official ones, "
        "which -C has not, or these and colour (NoisyMix)"
    )
    erase: Share = Field(description="probability of random erasing")
    deepaugment: DeepAugment
    mixup: Share = Field(description="probability that a batch is mixed by Mixup; both streams apart")
    cutmix: Share = Field(description="the same for CutMix; a batch has one of the two at most")
    noise: bool = Field(description="patched p-norm noise: groups of 8 images share kind, strength and place")
    feature_noise: Literal["none", "siedel", "noisymix"] = Field(
        description="noisy feature mixup: noise and mixing act on the input, or after the first or second stage; "
        "noisymix: or the third, and also the input gets feature noise, all of the largest sparsity"
    )

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if self.trivial and self.augmix != "none":
            raise ValueError(f"augment.trivial is true and augment.augmix {self.augmix}: an image has one of the two")
        return self

    @model_validator(mode="after")
    def _one_noise_of_the_input(self) -> Self:
        if self.feature_noise == "noisymix" and (self.noise or self.deepaugment.share > 0):
            name = "augment.noise" if self.noise else "augment.deepaugment"
            raise ValueError(f"augment.feature_noise is noisymix, whose input has noise of its own, but {name} is on")
        return self
