"""Section ``style``: the style bank, the encoder and the decoder of AdaIN."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from impasto.config.base import Section


class Decoder(Section):
    """How the decoder is fitted to the training images and the styles."""

    key: ClassVar[str] = "style.decoder"
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
    bank: Literal["procedural", "folder"] = Field(description="where style images come from: code, or style.root")
    root: str | None = Field(description="folder of style pictures; null for a procedural bank")
    count: int = Field(ge=1, description="number of styles")
    size: int = Field(ge=8, description="side of the style images, pixels")
    min_std: float = Field(ge=0, le=0.25, description="least contrast of a style; flat styles erase the content")
    encoder: Literal["efficientnet_lite0", "vgg19"] = Field(
        description="network whose channel statistics are the style"
    )
    upscale: int = Field(ge=16, multiple_of=8, description="side to which images are resized for the encoder, pixels")
    refresh: float = Field(gt=0, le=1, description="share of the stylised images that is repainted each epoch")
    decoder: Decoder
