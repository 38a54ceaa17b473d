"""Section ``dataset``: the original images."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section

NATIVE = {"cifar10": 32, "cifar100": 32, "tiny_imagenet": 64}
"""Height and width of the images of datasets that are never resized, px: their -C sets have no other size."""


class Dataset(Section):
    """Which original images, at what size, and how they are divided."""

    key: ClassVar[str] = "dataset"
    name: Literal["digits", "cifar10", "cifar100", "tiny_imagenet", "folder"] = Field(
        description="digits: 5,000 real MNIST images in seeded colours, out of an installed package; cifar10, "
        "cifar100, tiny_imagenet: their authors' archives, downloaded; folder: yours"
    )
    root: str | None = Field(
        description="folder: directory with train/ and test/, or one tree of class folders; cifar10, cifar100, "
        "tiny_imagenet: folder where the archive is or goes, null is data/official, or the archive itself, or "
        "CIFAR's unpacked folder; digits: null"
    )
    published: bool = Field(
        description="cifar10, cifar100, tiny_imagenet: true holds the files against the published checksums; false "
        "takes what dataset.root names, an archive or an unpacked folder in the official layout, and checks "
        "its structure alone; true for the others"
    )
    size: int = Field(ge=16, le=512, multiple_of=4, description="height and width of the images, px")
    test: float = Field(
        gt=0, lt=1, description="share of a dataset without its own test split that becomes one, per class"
    )
    validation: float = Field(gt=0, lt=1, description="share of the training images held out for validation, per class")
    seed: int = Field(
        ge=0, description="seed of what belongs to the dataset itself: its test split, the digits' colours"
    )

    @model_validator(mode="after")
    def _rooted(self) -> Self:
        if self.name == "folder" and not self.root:
            raise ValueError("dataset.name is folder, but dataset.root names no directory")
        if self.name == "digits" and self.root:
            raise ValueError("dataset.root is set, but dataset.name is digits: for your images set it to folder")
        if self.name == "digits" and self.size < 28:
            raise ValueError(f"dataset.size is {self.size}, but digits have 28 px")
        if not self.published and self.name not in NATIVE:
            raise ValueError(f"dataset.published is false, but of {self.name} nothing is published: set it to true")
        if not self.published and not self.root:
            raise ValueError("dataset.published is false, but dataset.root names no archive or folder of yours")
        if self.size != NATIVE.get(self.name, self.size):
            raise ValueError(f"dataset.size is {self.size}, but {self.name} has {NATIVE[self.name]} px")
        return self
