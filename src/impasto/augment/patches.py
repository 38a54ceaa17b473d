"""Rectangles in consecutive images of a batch, and random words for the numbers inside them.

The numbers of an image lie row by row, a pixel's three channels side by side.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import words


class Part(NamedTuple):
    """Consecutive images of one group that have a rectangle, in plain numbers: no device is waited for."""

    start: int
    stop: int
    group: int
    kind: int
    radius: float
    sparsity: float
    rest: float
    box: tuple[int, int, int, int]  # top, left, height, width; columns are numbers, of which a pixel has three

    @property
    def words(self) -> int:
        """Words that each image takes: one for every number inside, rounded up to whole 64-bit draws."""
        return (self.box[2] * self.box[3] + 3) // 4 * 4


class Words:
    """Random words for the numbers inside the rectangles of some parts, drawn in the order of the images."""

    def __init__(self, parts: list[Part], source: torch.Generator) -> None:
        ends = list(accumulate((part.words * (part.stop - part.start) for part in parts), initial=0))
        self.start = dict(zip((part.start for part in parts), ends, strict=False))
        self.words = words.long(ends[-1] // 4, source).view(torch.int16)

    def of(self, part: Part) -> Tensor:
        """The words int16 [images, rows, numbers] of one of the parts."""
        shape, strides = (part.stop - part.start, *part.box[2:]), (part.words, part.box[3], 1)
        return self.words.as_strided(shape, strides, self.start[part.start])
