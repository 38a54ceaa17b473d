"""Test images and their stylised twins: the same images, painted as lambda_o paints originals, in any style."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from impasto.data.images import Images, to_device
from impasto.rng import generator
from impasto.style.stylize import Painter


class Twins(NamedTuple):
    """Images in random order, painted.

    Attributes:
        rows: int64 [n], where they stand among all images.
        originals: uint8 [n, 3, H, W].
        painted: the same with one style each.
        styles: int64 [n], rows of the style bank.
        alpha: float32 [n], style strengths.
    """

    rows: np.ndarray
    originals: Tensor
    painted: Tensor
    styles: Tensor
    alpha: Tensor


def draw_twins(
    images: Images,
    count: int,
    painter: Painter,
    styles: int,
    alpha: tuple[float, float],
    seed: int,
    device: torch.device,
) -> Twins:
    """Draw images without looking, a style and a strength for each, and paint them.

    Args:
        images: to draw from; more draws begin with the images of fewer.
        count: at most so many.
        painter: on the device.
        styles: in the bank, each as likely as another.
        alpha: lowest and highest strength, drawn uniformly.
        seed: of all draws.
        device: where to paint.
    """
    rows = torch.randperm(len(images), generator=generator(seed, "explain-images"))[:count].numpy()
    ids = torch.randint(styles, (len(rows),), generator=generator(seed, "explain-styles"))
    low, high = alpha
    strength = low + (high - low) * torch.rand(len(rows), generator=generator(seed, "explain-alpha"))
    originals = to_device(images.pixels[rows], device)
    return Twins(rows, originals, painter(originals, ids, strength), ids, strength)
