"""From ``dataset.name`` to the function that delivers the images."""

from __future__ import annotations

from collections.abc import Callable

from impasto.config.dataset import Dataset
from impasto.data.images import Images
from impasto.data.sources.cifar import cifar10, cifar100
from impasto.data.sources.digits import digits
from impasto.data.sources.folder import folder
from impasto.data.sources.kaokore import kaokore
from impasto.data.sources.tiny_imagenet import tiny_imagenet

#: Each source returns (training images, test images).
SOURCES: dict[str, Callable[[Dataset], tuple[Images, Images]]] = {
    "digits": digits,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "tiny_imagenet": tiny_imagenet,
    "kaokore": kaokore,
    "folder": folder,
}


def fetch(dataset: Dataset) -> tuple[Images, Images]:
    """The training and the test images of the configured dataset."""
    return SOURCES[dataset.name](dataset)
