"""Choosing images that cover what there is: each next one is the farthest from those chosen before.

T. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; as a selection of training images in
O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018 (k-center
greedy, where others are chosen already). Of rows chosen by it alone, the covering radius is at most twice the smallest
that so many images can have.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_BLOCK = 1 << 23  # distances in memory at once
_CHOSEN = -1.0  # below every distance: a chosen row is never chosen again


class Cover(NamedTuple):
    """Chosen rows."""

    rows: Tensor
    """int64 [K], in the order of choice: the first k of them are the cover of k images."""
    radii: Tensor
    """float32 [K], the largest distance of any image to the nearest of the first k + 1 and of the given ones; never
    rises."""


def cover(features: Tensor, count: int, given: int = 0) -> Cover:
    """Choose ``count`` rows, always the one farthest from all chosen ones; with none given, the most central one first.

    Farthest-first seeks what is unusual, so let it choose among images that a scorer is sure of. The cost is
    ``count`` products of the features with one row; nothing is copied to the host. Memory beside the features: a
    copy of them, and five numbers a row.

    Args:
        features: float [N, D], of the images of one class; a network's pooled features, of unit length where only
            their direction counts.
        count: rows to choose, 1 to N - ``given``.
        given: so many rows, the first ones, are chosen already and are not chosen again.

    Returns:
        A :class:`Cover` on the device of the features; of rows equally far the first is taken.

    Raises:
        ValueError: ``count`` is out of range or ``features`` is no matrix.
    """
    if features.ndim != 2 or given < 0 or not 1 <= count <= len(features) - given:
        raise ValueError(f"cannot choose {count} rows beside {given} of features {list(features.shape)}")
    features = _centred(features)
    squares = features.square().sum(1)
    rows = torch.empty(count, dtype=torch.int64, device=features.device)
    radii = torch.empty(count, device=features.device)
    nearest = _nearest(features, squares, given)
    nearest[:given] = _CHOSEN
    row = nearest.argmax() if given else squares.argmin()
    for step in range(count):
        rows[step] = row
        nearest = torch.minimum(nearest, _distances(features, squares, features[row]))
        nearest.index_fill_(0, row, _CHOSEN)
        radius, row = nearest.max(0)
        radii[step] = radius.clamp_min(0).sqrt()
    return Cover(rows, radii)


def covering_radius(features: Tensor, given: int) -> float:
    """The largest distance of any row of features [N, D] to the nearest of the first ``given``, 1 to N."""
    features = _centred(features)
    return float(_nearest(features, features.square().sum(1), given).max().clamp_min(0).sqrt())


def _centred(features: Tensor) -> Tensor:
    """In float32; a common offset would cost the distances their digits."""
    return features.float() - features.float().mean(0)


def _nearest(features: Tensor, squares: Tensor, given: int) -> Tensor:
    """Squared distance of every row to the nearest of the first ``given``, float32 [N]; infinite if there is none."""
    nearest = torch.full_like(squares, torch.inf)
    width = max(1, _BLOCK // len(features))
    for start in range(0, given, width):
        block = slice(start, min(start + width, given))
        away = torch.addmm(squares[block], features, features[block].T, alpha=-2).amin(1)
        nearest = torch.minimum(nearest, (away + squares).clamp_min_(0))
    return nearest


def _distances(features: Tensor, squares: Tensor, point: Tensor) -> Tensor:
    """Squared distance of every row to a point, float32 [N], without a copy of the features."""
    return (squares + point.square().sum() - 2 * (features @ point)).clamp_min(0)
