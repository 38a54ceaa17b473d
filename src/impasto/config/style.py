"""Section ``style``: the style bank, the encoder and the decoder of AdaIN."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import Field, model_validator

from impasto.config.base import Section
from impasto.config.either import either

Difference: TypeAlias = Literal["groups", "left_out", "aliased"]
"""Where the code of arXiv 2512.15675 stylises otherwise than its text says (:mod:`impasto.faithful`)."""


def _known(value: Any) -> bool:
    names = get_args(Difference)
    named = isinstance(value, list) and all(name in names and value.count(name) == 1 for name in value)
    return isinstance(value, bool) or named


class Decoder(Section):
    """How the decoder is fitted to the training images and the styles."""

    key: ClassVar[str] = "style.decoder"
    source: Literal["fitted", "published"] = Field(
        description="fitted to the training images and the styles here, or the published one of vgg19"
    )
    weights: str | None = Field(description="file of the published decoder; null downloads it")
    iterations: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=4, multiple_of=4, description="images per step; a quarter of them are textures")
    learning_rate: float = Field(gt=0, description="Adam's learning rate at the start; falls to 0 linearly")
    style_weight: float = Field(ge=0, description="weight of the style loss against the content loss")
    reconstruction_weight: float = Field(ge=0, description="weight of the pixel reconstruction at alpha 0")


class Style(Section):
    """AdaIN style transfer (Huang & Belongie 2017) with cached style statistics."""

    key: ClassVar[str] = "style"
    method: Literal["adain", "colour"] = Field(
        description="adain: feature statistics; colour: pixel statistics, the control for what recolouring explains"
    )
    bank: Literal["procedural", "folder", "published", "training"] = Field(
        description="where styles come from: code, the pictures in style.root, published features of vgg19, or the "
        "training images, each of which is a style"
    )
    root: str | None = Field(
        description="folder of style pictures, or file of published features, where null downloads them; else null"
    )
    count: int | None = Field(
        ge=1, description="number of styles; of published features the first so many; null for the training images"
    )
    size: int = Field(ge=8, description="side of the style images, pixels; published features have none")
    min_std: float = Field(
        ge=0, le=0.25, description="least contrast of a style; flat styles erase the content; not of published features"
    )
    encoder: Literal["efficientnet_lite0", "vgg19"] = Field(
        description="network whose channel statistics are the style"
    )
    encoder_weights: str | None = Field(description="vgg19: file of its published weights; null downloads them")
    faithful: Annotated[
        bool | list[Difference],
        either(_known, f"true, false or a list of some of {', '.join(get_args(Difference))}"),
    ] = Field(
        description="stylise as the code of Siedel et al. does: groups of 50 that share alpha, 5 % left_out, "
        "aliased shrinking; true is all of these"
    )
    upscale: int = Field(ge=16, multiple_of=8, description="side to which images are resized for the encoder, pixels")
    refresh: float = Field(gt=0, le=1, description="share of the stylised images that is repainted each epoch")
    decoder: Decoder

    @model_validator(mode="after")
    def _published_parts(self) -> Self:
        """What is published was made for vgg19; recolouring has no faithful form, earlier paintings have no groups."""
        decoder = self.decoder
        adain, faithful = self.method == "adain", f"style.faithful is {str(self.faithful).lower()}"
        needs = (
            (self.bank == "published", "style.bank is published", "style.decoder.source published",
             decoder.source == "published"),
            (decoder.source == "published", "style.decoder.source is published", "style.encoder vgg19", self._vgg19),
            (decoder.weights is not None, "style.decoder.weights is set", "style.decoder.source published",
             decoder.source == "published"),
            (self.encoder_weights is not None, "style.encoder_weights is set", "style.encoder vgg19", self._vgg19),
            (self.differences, faithful, "style.method adain", adain),
            (self.bank == "published", "style.bank is published", "style.method adain", adain),
            ("groups" in self.differences, faithful, "style.refresh 1", self.refresh == 1),
            ("groups" in self.differences, faithful, "style.count of 50 or more", (self.count or 50) >= 50),
            (self.bank == "training", "style.bank is training", "style.count null", self.count is None),
            (self.bank != "training", f"style.bank is {self.bank}", "a style.count", self.count is not None),
            (self.bank == "folder" and self._vgg19, f"style.bank is folder for vgg19 at style.upscale {self.upscale}",
             f"style.size of {self.upscale // 2} or more: smaller pictures lose their strokes",
             2 * self.size >= self.upscale),
        )  # fmt: skip
        for asked, what, wanted, there in needs:
            if asked and not there:
                raise ValueError(f"{what}, which needs {wanted}")
        return self

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What ``faithful`` asks for, by name."""
        if isinstance(self.faithful, bool):
            return get_args(Difference) if self.faithful else ()
        return tuple(self.faithful)

    @property
    def _vgg19(self) -> bool:
        return self.encoder == "vgg19"
