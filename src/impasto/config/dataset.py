"""Section ``dataset``: the original images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from impasto.config.base import Section

NATIVE = {"cifar10": 32, "cifar100": 32, "tiny_imagenet": 64}
"""Height and width of the images of datasets that are never resized, px: their -C sets have no other size."""


class Dataset(Section):
    """Which original images, at what size, and how they are divided."""

    key: ClassVar[str] = "dataset"
    name: Literal["digits", "cifar10", "cifar100", "tiny_imagenet", "kaokore", "folder"] = Field(
        description="digits: 5,000 real MNIST images in seeded colours, out of an installed package; cifar10, "
        "cifar100, tiny_imagenet: their authors' archives, downloaded; kaokore: faces of Japanese illustrations, "
        "downloaded one by one; folder: yours"
    )
    root: str | None = Field(
        description="folder: directory with train/ and test/, or one tree of class folders; cifar10, cifar100, "
        "tiny_imagenet: folder where the archive is or goes, null is data/official, or the archive itself, or "
        "CIFAR's unpacked folder; kaokore: folder with labels.csv and images_256/, null downloads; digits: null"
    )
    published: bool = Field(
        description="cifar10, cifar100, tiny_imagenet: true holds the files against the published checksums; false "
        "takes what dataset.root names, an archive or an unpacked folder in the official layout, and checks "
        "its structure alone; kaokore: likewise, true holds labels and lists against the published counts; true for "
        "the others"
    )
    version: Literal["1.0", "1.1", "1.2", "1.3"] | None = Field(
        description="kaokore: the version, each with a split of its own; null for the others"
    )
    task: Literal["gender", "status", "joint"] | None = Field(
        description="kaokore: what is told apart, 2, 4 or their 8 combinations; null for the others"
    )
    split: Literal["official", "disjoint"] | None = Field(
        description="kaokore: official takes its train, dev (as validation) and test images; disjoint divides anew, "
        "dataset.test and dataset.validation being the shares, so that no source work and no page is in two splits; "
        "null for the others"
    )
    size: int = Field(ge=16, le=512, multiple_of=4, description="height and width of the images, px")
    test: float = Field(
        gt=0, lt=1, description="share of a dataset without its own test split that becomes one, per class"
    )
    validation: float = Field(
        gt=0,
        lt=1,
        description="share of the training images held out for validation, per class, where the dataset has no "
        "validation split of its own",
    )
    imbalance: float = Field(
        ge=1,
        description="training images are taken away, classes in order of size along an exponential, until the largest "
        "class is so many times the smallest; where it is already, and at 1, all stay. Validation and test keep theirs",
    )
    seed: int = Field(
        ge=0, description="seed of what belongs to the dataset itself: its test split, the digits' colours"
    )

    @field_validator("version", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """``version: 1.2`` is a number to YAML."""
        return str(value) if isinstance(value, float) else value

    @model_validator(mode="after")
    def _rooted(self) -> Self:
        if self.name == "folder" and not self.root:
            raise ValueError("dataset.name is folder, but dataset.root names no directory")
        if self.name == "digits" and self.root:
            raise ValueError("dataset.root is set, but dataset.name is digits: for your images set it to folder")
        if self.name == "digits" and self.size < 28:
            raise ValueError(f"dataset.size is {self.size}, but digits have 28 px")
        if not self.published and self.name not in (*NATIVE, "kaokore"):
            raise ValueError(f"dataset.published is false, but of {self.name} nothing is published: set it to true")
        if not self.published and not self.root:
            raise ValueError("dataset.published is false, but dataset.root names no archive or folder of yours")
        if self.size != NATIVE.get(self.name, self.size):
            raise ValueError(f"dataset.size is {self.size}, but {self.name} has {NATIVE[self.name]} px")
        return self

    @model_validator(mode="after")
    def _divided(self) -> Self:
        for leaf in ("version", "task", "split"):
            value = getattr(self, leaf)
            if (value is None) == (self.name == "kaokore"):
                told = "null" if value is None else repr(value)
                needed = "kaokore needs one" if value is None else f"{self.name} has none: set it to null"
                raise ValueError(f"dataset.{leaf} is {told}, but {needed}")
        return self
