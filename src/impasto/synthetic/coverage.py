"""Choosing images that cover what there is: each next one is the farthest from those chosen before.

T. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; as a selection of training images in
O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018 (k-center
greedy). The covering radius is at most twice the smallest that so many images can have.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Cover(NamedTuple):
    """Chosen rows."""

    rows: Tensor
    """int64 [K], in the order of choice: the first k of them are the cover of k images."""
    radii: Tensor
    """float32 [K], the largest distance of any image to the nearest of the first k + 1; never rises."""


def cover(features: Tensor, count: int) -> Cover:
    """Choose ``count`` rows, the one nearest to the mean first, then always the row farthest from all chosen ones.

    Farthest-first seeks what is unusual, so let it choose among images that a scorer is sure of. The cost is
    ``count`` products of the features with one row; nothing is copied to the host. Memory beside the features: a
    copy of them, and five numbers a row.

    Args:
        features: float [N, D], of the images of one class; a network's pooled features, of unit length where only
            their direction counts.
        count: rows to choose, 1 to N.

    Returns:
        A :class:`Cover` on the device of the features; of rows equally far the first is taken.

    Raises:
        ValueError: ``count`` is out of range or ``features`` is no matrix.
    """
    if features.ndim != 2 or not 1 <= count <= len(features):
        raise ValueError(f"cannot choose {count} rows of features {list(features.shape)}")
    features = features.float() - features.float().mean(0)  # a common offset would cost the distances their digits
    squares = features.square().sum(1)
    rows = torch.empty(count, dtype=torch.int64, device=features.device)
    radii = torch.empty(count, device=features.device)
    nearest = torch.full_like(squares, torch.inf)  # squared distance to the nearest chosen row
    row = squares.argmin()
    for step in range(count):
        rows[step] = row
        nearest = torch.minimum(nearest, _distances(features, squares, features[row]))
        nearest.index_fill_(0, row, -1.0)  # below every distance: a chosen row is never chosen again
        radius, row = nearest.max(0)
        radii[step] = radius.clamp_min(0).sqrt()
    return Cover(rows, radii)


def _distances(features: Tensor, squares: Tensor, point: Tensor) -> Tensor:
    """Squared distance of every row to a point, float32 [N], without a copy of the features."""
    return (squares + point.square().sum() - 2 * (features @ point)).clamp_min(0)
