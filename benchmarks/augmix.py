"""AugMix on batches against torchvision image by image. Run: ``python benchmarks/augmix.py``."""

from __future__ import annotations

from impasto.augment import augmix
from timing import show
from trivial_augment import digits, over_torchvision


def measure(n: int = 512, repeats: int = 5) -> dict[str, float | int | str]:
    """Time all ways in turn on ``n`` digits, uint8 RGB 32 px, single thread; draws included.

    torchvision gets its images one by one: as uint8 tensors, and as float tensors in [0, 1], as the paper does.

    Returns:
        See :func:`trivial_augment.over_torchvision`.
    """
    from torchvision.transforms.v2 import AugMix

    images = digits(n)
    return over_torchvision(augmix, AugMix(), images, {"uint8": list(images), "float": list(images / 255)}, repeats)


if __name__ == "__main__":
    show(measure())
