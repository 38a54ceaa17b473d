"""AugMix on batches against torchvision image by image. Run: ``python benchmarks/augmix.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from impasto.augment import augmix
from impasto.rng import generator
from timing import interleaved, show, single_thread
from trivial_augment import digits

_BATCHES = (128, 512)


def measure(n: int = 512, repeats: int = 5) -> dict[str, float | int | str]:
    """Time all ways in turn on ``n`` digits, uint8 RGB 32 px, single thread; draws included.

    torchvision gets its images one by one: as uint8 tensors, and as float tensors in [0, 1], as the paper does.

    Returns:
        Medians of ``repeats`` in microseconds per image, and torchvision's times over ours at each batch size;
        ``ratio`` is the smallest of them.
    """
    from torchvision.transforms.v2 import AugMix

    images, transform = digits(n), AugMix()
    singles = {"uint8": list(images), "float": list(images / 255)}
    ways: dict[str, Callable[[int], object]] = {f"ours_{size}": partial(_batched, images, size) for size in _BATCHES}
    ways |= {f"torchvision_{name}": partial(_one_by_one, transform, each) for name, each in singles.items()}
    with single_thread(), torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        medians = {name: each.wall / n * 1e6 for name, each in interleaved(ways, repeats).items()}
    ratios = {
        f"{name}_over_{size}": round(medians[f"torchvision_{name}"] / medians[f"ours_{size}"], 1)
        for name in singles
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


def _batched(images: Tensor, size: int, seed: int) -> None:
    source = generator(seed, "benchmark", "draws")
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        augmix.apply(batch, augmix.draw(len(batch), source))


def _one_by_one(transform: Callable[[Tensor], object], images: list[Tensor], seed: int) -> None:
    torch.manual_seed(seed)
    for image in images:
        transform(image)


if __name__ == "__main__":
    show(measure())
