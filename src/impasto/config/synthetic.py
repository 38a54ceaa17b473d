"""Section ``synthetic``: where synthetic images come from and which of them are used."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from impasto.config.base import Section

POOLS = {"edm-cifar10": "cifar10", "edm-cifar100": "cifar100", "edm-tiny-imagenet": "tiny_imagenet"}
"""Published pools that ``synthetic.root`` may name, and the dataset whose classes each one shows."""


class Generator(Section):
    """The diffusion model that is fitted on the training split, and its sampler (Karras et al. 2022)."""

    key: ClassVar[str] = "synthetic.generator"
    width: int = Field(ge=8, description="channels of the U-Net's first level; the lower levels have twice as many")
    iterations: int = Field(ge=1, description="optimiser steps of the fit")
    batch: int = Field(ge=1, description="images per step")
    learning_rate: float = Field(gt=0, description="AdamW's learning rate at the start; falls to 0 by a cosine")
    label_drop: float = Field(ge=0, lt=1, description="share of the labels withheld, so that guidance has its opposite")
    guidance: float = Field(ge=0, description="w of D + w (D - D unconditional); 0 is off and halves the cost")
    sampler_steps: int = Field(ge=2, description="Heun steps, of two network evaluations each but the last")
    clean_tolerance: int = Field(
        ge=0, le=255, description="grey levels around an even background that become the background; 0 is off"
    )


class Synthetic(Section):
    """The pool of synthetic images and the selection from it (Siedel et al., section 4)."""

    key: ClassVar[str] = "synthetic"
    source: Literal["generator", "npz", "folder", "none"] = Field(
        description="generator: fitted here; npz: a file with the keys image and label; folder: class folders"
    )
    root: str | None = Field(
        description="the folder, or the npz file, which may be a published one: edm-cifar10, edm-cifar100, "
        "edm-tiny-imagenet; null for the generator and for none"
    )
    pool: int = Field(ge=1, description="images that the generator samples")
    count: int = Field(ge=1, description="images selected from the pool")
    keep: float = Field(gt=0, le=1, description="best share of each class by a scorer's confidence; 1 scores nothing")
    coverage: float = Field(
        ge=0,
        le=1,
        description="share of each class's images chosen as farthest, in the scorer's features, from those chosen "
        "before; the rest is drawn at random; 0 is off",
    )
    generator: Generator
