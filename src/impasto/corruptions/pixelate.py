"""Pixelate of -C: Pillow's BOX filter down and up again, in the integers that Pillow uses."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption

_FRACTION_BITS = 22  # of Pillow's fixed-point resampling weights


@corruption(integer=True)
def pixelate(images: Tensor, factor: float) -> Tensor:
    """Shrink to ``factor`` of the side by box averages and enlarge again by repetition: equal to Pillow's BOX filter.

    Rows are averaged before columns, each pass in fixed-point arithmetic and rounded to a byte. Within a row, pixels
    are looked up in the flattened batch: far quicker than along the last of several axes.
    """
    planes, (height, width) = len(images) * 3, images.shape[2:]
    rows, columns = int(height * factor), int(width * factor)
    x = images.to(torch.int16).reshape(-1)
    sizes, index, weights = _boxes(width, columns, planes * height, x.device)
    x = _rounded(_window_sums(x, 0, sizes).index_select(0, index).view(planes, height, columns), weights)
    sizes, index, weights = _boxes(height, rows, 1, x.device)
    x = _rounded(_window_sums(x, 1, sizes).index_select(1, index), weights[:, None]).to(torch.uint8)
    x = x.view(-1).index_select(0, _repetition(columns, width, planes * rows, x.device)).view(planes, rows, width)
    return x.index_select(1, _repetition(rows, height, 1, x.device)).view(images.shape)


def _window_sums(x: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """Sums over windows of each of ``sizes``, which follow each other, at all positions; sizes one after the other."""
    if sizes == (1,):
        return x
    length = x.shape[axis]
    shape = list(x.shape)
    shape[axis] = sum(length - size + 1 for size in sizes)
    result, total, start = x.new_empty(shape), x, 0
    for size in range(1, sizes[-1] + 1):
        positions = length - size + 1
        target = result.narrow(axis, start, positions) if size in sizes else None
        if size > 1:
            total = torch.add(total.narrow(axis, 0, positions), x.narrow(axis, size - 1, positions), out=target)
        elif target is not None:
            target.copy_(x)
        start += positions * (size in sizes)
    return result


def _rounded(sums: Tensor, weights: Tensor) -> Tensor:
    """Sums times fixed-point weights, rounded to the nearest integer; int16."""
    fixed = sums.to(torch.int32).mul_(weights).add_(1 << (_FRACTION_BITS - 1))
    return fixed.bitwise_right_shift_(_FRACTION_BITS).to(torch.int16)


@lru_cache(maxsize=32)
def _boxes(length: int, shorter: int, lines: int, device: torch.device) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """How lines of ``length`` positions are averaged down to ``shorter``.

    Returns:
        The numbers of positions that boxes hold, one or two successive ones; for all boxes of all lines, one after
        the other in memory, their places in what :func:`_window_sums` gives, int32 [lines shorter]; and the weights
        of one line's boxes, int32 [shorter], or [1] if they are equal.
    """
    # Pillow's window and weight function, rounding included: both decide where a position lies on a box's border.
    scale = length / shorter
    centres = (torch.arange(shorter, dtype=torch.float64) + 0.5) * scale
    start, end = ((centres + side * scale + 0.5).floor() for side in (-0.5, 0.5))
    position = torch.arange(length)[:, None]
    offset = (position - centres + 0.5) * (1 / scale)
    inside = ((position >= start) & (position < end) & (offset > -0.5) & (offset <= 0.5)).int()
    first, size = inside.argmax(dim=0), inside.sum(dim=0)
    sizes = tuple(size.unique().tolist())
    # Windows of the larger size come after those of the smaller one.
    place = first + (size - sizes[0]) * (lines * length - sizes[0] + 1)
    index = (place + torch.arange(lines)[:, None] * length).view(-1).int()
    weights = ((1 << _FRACTION_BITS) / (size if len(sizes) > 1 else size[:1]).double() + 0.5).int()
    return sizes, index.to(device), weights.to(device)


@lru_cache(maxsize=32)
def _repetition(shorter: int, length: int, lines: int, device: torch.device) -> Tensor:
    """For each of ``length`` positions of each line, which of the ``shorter`` ones it repeats; int32."""
    within = ((torch.arange(length, dtype=torch.float64) + 0.5) * (shorter / length)).long()
    return (within + torch.arange(lines)[:, None] * shorter).view(-1).int().to(device)
