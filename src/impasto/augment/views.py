"""Several views of each image in one batch, for a loss that compares them (``losses.jensen_shannon``).

Of B images and V views the batch holds V * B rows: row v * B + i is view v of image i. View 0 is the clean one. In
Siedel et al. (arXiv 2512.15675) there are three: the unstylised image without rule-based augmentation, and two that
start from the same stylised image (if it is stylised) and are augmented apart. Flip and crop act on all views.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.augment import geometry
from impasto.augment.geometry import CropDraws
from impasto.rng import generator

VIEWS = 3


def crops(
    n: int, *, padding: int, flip: float, shared: bool, seed: int, epoch: int, views: int = VIEWS
) -> tuple[CropDraws, ...]:
    """Draw flip and crop of each view of n images; those of view 0 are the draws of an epoch without views.

    Args:
        n: number of images.
        padding: zero pixels on each side; 0 crops nothing.
        flip: probability of a flip, 0 to 1.
        shared: whether the views of an image are cut alike (AugMix, NoisyMix) or each by its own draws (Siedel et al.).
        seed: seed of the run.
        epoch: number of the epoch.
        views: number of views.
    """
    counters = [(epoch,) if shared or view == 0 else (epoch, view) for view in range(views)]
    sources = (generator(seed, "crop", *counter) for counter in counters)
    return tuple(geometry.draw(n, padding=padding, flip=flip, generator=source) for source in sources)


def stack(views: Sequence[Tensor]) -> Tensor:
    """Views [B, ...] of the same shape as one batch [V * B, ...].

    Raises:
        ValueError: the views differ in shape.
    """
    if len({view.shape for view in views}) != 1:
        raise ValueError(f"views of one shape are needed, not {[tuple(view.shape) for view in views]}")
    return torch.cat(list(views))


def split(batch: Tensor, views: int = VIEWS) -> Tensor:
    """A batch [V * B, ...] as its views [V, B, ...], without a copy.

    Raises:
        ValueError: the rows do not divide by the number of views.
    """
    if len(batch) % views:
        raise ValueError(f"{len(batch)} rows are not {views} views")
    parts: Tensor = batch.unflatten(0, (views, -1))
    return parts
