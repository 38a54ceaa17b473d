"""The slowest five of the benchmarks' own per-image functions, at CIFAR constants, written from their description.

They stand in for the generator scripts of Hendrycks and Dietterich (ICLR 2019), which need ImageMagick and old
versions of numpy, scikit-image and OpenCV. Each works as the scripts do, on one image in numpy, scipy and OpenCV:
glass blur is a double loop in Python, frost reads and resizes its photograph at every call. One thing is cheaper than
the original: motion blur shifts and adds in numpy, where the scripts send a PNG through ImageMagick.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from impasto.corruptions.tables import TABLES

Image = NDArray[np.uint8]
Plane = NDArray[np.float64]
_FROST = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg")
_LAST_ZOOM = (1.06, 1.11, 1.16, 1.21, 1.26)


def frost(image: Image, severity: int) -> Image:
    """A random crop of one of five photographs, read from its file and shrunk to a fifth, added to the image."""
    share, strength, scale = TABLES["cifar"]["frost"][severity - 1]
    package = find_spec("imagecorruptions")
    assert package is not None and package.origin is not None, "imagecorruptions-imaug brings the photographs"
    file = Path(package.origin).parent / "frost" / _FROST[np.random.randint(5)]
    photograph = cv2.resize(cv2.imread(str(file)), (0, 0), fx=scale, fy=scale)
    row, column = (np.random.randint(0, photograph.shape[axis] - image.shape[axis]) for axis in (0, 1))
    crop = photograph[row : row + image.shape[0], column : column + image.shape[1]][..., ::-1]
    return np.uint8(np.clip(share * image + strength * crop, 0, 255))


def glass_blur(image: Image, severity: int) -> Image:
    """Gaussian blur, a local shuffle pixel by pixel, and the same blur again."""
    sigma, reach, rounds = TABLES["cifar"]["glass_blur"][severity - 1]
    reach = int(reach)
    x = np.uint8(_blur(image / 255.0, sigma) * 255)
    for _ in range(int(rounds)):
        for row in range(image.shape[0] - reach, reach, -1):
            for column in range(image.shape[1] - reach, reach, -1):
                right, down = np.random.randint(-reach, reach, size=(2,))
                # A swap of two views: the first keeps the second's value, and the second its own.
                there = row + down, column + right
                x[row, column], x[there] = x[there], x[row, column]
    return np.uint8(np.clip(_blur(x / 255.0, sigma), 0, 1) * 255)


def zoom_blur(image: Image, severity: int) -> Image:
    """The mean of the image and its centre magnified in steps of one per cent."""
    x = (image / 255.0).astype(np.float32)
    total, steps = np.zeros_like(x), np.arange(1, _LAST_ZOOM[severity - 1], 0.01)
    for factor in steps:
        total += _zoom(x, factor)
    return np.uint8(np.clip((x + total) / (len(steps) + 1), 0, 1) * 255)


def snow(image: Image, severity: int) -> Image:
    """Magnified noise above a threshold, smeared by wind, over an image made brighter and paler."""
    mean, std, zoom, threshold, radius, sigma, blend = TABLES["cifar"]["snow"][severity - 1]
    x = np.float32(image) / np.float32(255.0)
    layer = _zoom(np.random.normal(size=x.shape[:2], loc=mean, scale=std)[..., None], zoom)[..., 0]
    layer[layer < threshold] = 0
    flakes = np.uint8(np.clip(layer, 0, 1) * 255)
    flakes = np.uint8(_smear(flakes[..., None], radius, sigma, np.random.uniform(-135, -45)))
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    x = blend * x + (1 - blend) * np.maximum(x, grey * 1.5 + 0.5)
    fallen = flakes / 255.0
    return np.uint8(np.clip(x + fallen + np.rot90(fallen, k=2), 0, 1) * 255)


def motion_blur(image: Image, severity: int) -> Image:
    """One-sided Gaussian smear in a random direction."""
    radius, sigma = TABLES["cifar"]["motion_blur"][severity - 1]
    return np.uint8(np.clip(_smear(image, radius, sigma, np.random.uniform(-45, 45)), 0, 255))


FUNCTIONS = {each.__name__: each for each in (frost, glass_blur, zoom_blur, snow, motion_blur)}


def _blur(x: Plane, sigma: float) -> Plane:
    blurred: Plane = ndimage.gaussian_filter(x, sigma=(sigma, sigma, 0), mode="nearest", truncate=4.0)
    return blurred


def _zoom(x: Plane, factor: float) -> Plane:
    """The centre of [H, W, C] magnified to [H, W, C]."""
    height, width = x.shape[:2]
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    large = ndimage.zoom(x[top : top + rows, left : left + columns], (factor, factor, 1), order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    result: Plane = large[top : top + height, left : left + width]
    return result


def _smear(image: Image, radius: float, sigma: float, degrees: float) -> Plane:
    """Sum of [H, W, C] shifted along a line, edges replicated."""
    taps = np.arange(2 * int(radius) + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    angle, total = math.radians(degrees), np.zeros(image.shape)
    for tap, weight in zip(taps, weights, strict=True):
        down, right = (math.ceil(tap * each - 0.5) for each in (math.sin(angle), math.cos(angle)))
        rows = np.clip(np.arange(image.shape[0]) + down, 0, image.shape[0] - 1)
        columns = np.clip(np.arange(image.shape[1]) + right, 0, image.shape[1] - 1)
        total += weight * image[rows[:, None], columns]
    return total
