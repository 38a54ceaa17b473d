"""Distance to the nearest marked pixel on batches, in the arithmetic of OpenCV's packages for x86.

Borgefors, "Distance transformations in digital images", CVGIP 1986: the length of the shortest path of steps to the
5 x 5 neighbourhood. Shortest paths stay within the rectangle between their ends, so the distance is a norm of the
offset, and it grows with each coordinate: the minimum over a row is reached at the row's nearest marked pixel.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

ONE = 2**23  # float32 values of 1 or more are whole multiples of 2**-23
_STRAIGHT, _DIAGONAL, _KNIGHT = (np.float32(length) for length in (1, 1.4, 2.1969))  # of the steps (1,0) (1,1) (2,1)


def chamfer_distance(marked: Tensor, limit: int) -> Tensor:
    """Distances truncated at ``limit``: ``cv2.distanceTransform`` of the inverse with L2 and a 5 x 5 mask.

    Equal to OpenCV with Intel's IPP, which adds float32 steps, but for the last bit of some sums (at most 2e-6).

    Args:
        marked: uint8 [H, W, B] of 0 and 1.
        limit: in pixels, at most 20.

    Returns:
        int32 [H, W, B] in units of 2**-23 pixels; ``limit`` everywhere if nothing is marked.
    """
    across = _row_distance(marked, limit)
    lengths, ranks = _ranks(limit, marked.device)
    pairs = torch.nn.functional.pad(across.view(-1), (0, across.numel() % 2)).view(torch.int16).int()
    nearest = _look_up_pairs(ranks[0], pairs, across)
    for rows in range(1, min(limit, marked.shape[0])):
        if rows % 4 == 1 and lengths[int(nearest.max())] <= rows * ONE:
            break
        offered = _look_up_pairs(ranks[rows], pairs, across)
        torch.minimum(nearest[rows:], offered[:-rows], out=nearest[rows:])
        torch.minimum(nearest[:-rows], offered[rows:], out=nearest[:-rows])
    return lengths.index_select(0, nearest.view(-1).int()).view(nearest.shape)


def _look_up_pairs(ranks: Tensor, pairs: Tensor, like: Tensor) -> Tensor:
    """Ranks of two neighbouring distances at a time, since a look-up costs ten times as much as a minimum."""
    return ranks.index_select(0, pairs).view(torch.uint8)[: like.numel()].view(like.shape)


def _row_distance(marked: Tensor, limit: int) -> Tensor:
    """Distance to the nearest marked pixel of the same row, at most ``limit``: uint8 [H, W, B]."""
    distance = (1 - marked).mul_(limit)
    step, reach = 1, 0
    while reach < limit - 1 and step < marked.shape[1]:
        further = distance + step
        nearer = distance.clone()
        torch.minimum(nearer[:, step:], further[:, :-step], out=nearer[:, step:])
        torch.minimum(nearer[:, :-step], further[:, step:], out=nearer[:, :-step])
        distance, reach, step = nearer, reach + step, 2 * step
    return distance


@lru_cache(maxsize=4)
def _ranks(limit: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The lengths up to ``limit`` in order, int32 [n], and which of them the offset (x, y) has, int16 [limit, pairs].

    A rank takes one byte, so minima of ranks are four times as fast as minima of lengths. The second table holds the
    ranks for y and two values of x, at the 16-bit number that their two bytes make up.
    """
    offsets = np.array([[_length(max(x, y), min(x, y)) for x in range(limit + 1)] for y in range(limit)])
    lengths, found = np.unique(np.minimum(offsets * ONE, limit * ONE), return_inverse=True)
    assert len(lengths) <= 256, "limit is too large for ranks of one byte"
    ranks = found.reshape(offsets.shape).astype(np.uint8)
    x = np.arange(limit + 1, dtype=np.uint8)
    first, second = np.repeat(x, limit + 1), np.tile(x, limit + 1)
    numbers = np.stack((first, second), axis=-1).view(np.int16)[:, 0]
    table = np.zeros((limit, int(numbers.max()) + 1), dtype=np.int16)
    table[:, numbers] = np.stack((ranks[:, first], ranks[:, second]), axis=-1).view(np.int16)[..., 0]
    return torch.from_numpy(lengths).int().to(device), torch.from_numpy(table).to(device)


def _length(longer: int, shorter: int) -> np.float32:
    """Length of an offset, its steps added one by one: float32 sums depend on the order."""
    if longer >= 2 * shorter:
        steps = [_STRAIGHT] * (longer - 2 * shorter) + [_KNIGHT] * shorter
    else:
        steps = [_DIAGONAL] * (2 * shorter - longer) + [_KNIGHT] * (longer - shorter)
    total = np.float32(0)
    for step in steps:
        total += step
    return total
