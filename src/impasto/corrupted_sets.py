"""Where corrupted test images come from: made on the fly from the clean ones, or read from a benchmark's files."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from impasto.config.evaluate import Evaluate
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images, to_device

#: A clean or corrupted test set: ("clean", 0) or (corruption, severity).
Cell = tuple[str, int]
CLEAN: Cell = ("clean", 0)


class CorruptedSets(Protocol):
    """Every cell of an evaluation, opened batch by batch: memory does not grow with the size of a set."""

    source: str
    """Where the corrupted images come from, in words."""

    def labels(self, cell: Cell) -> np.ndarray:
        """The true classes, int64 [N], indices into the classes of the clean test set."""

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """Some of the images, uint8 [B, 3, H, W] on the device."""


class Generated:
    """The clean test images, corrupted when they are asked for.

    Args:
        images: the clean test set.
        config: table of constants and seed of the noise.
        device: where the images are corrupted.
    """

    source = "generated"

    def __init__(self, images: Images, config: Evaluate, device: torch.device) -> None:
        self._images, self._seed, self._device = images, config.seed, device
        self._table = None if config.table == "auto" else config.table

    def labels(self, cell: Cell) -> np.ndarray:
        """Those of the clean images."""
        return self._images.labels

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """See :class:`CorruptedSets`.

        Raises:
            ImpastoError: the corruption is unknown, or the images are too small.
        """
        pixels = to_device(self._images.pixels[rows], self._device)
        if cell == CLEAN:
            return pixels
        return corrupt(pixels, *cell, self._seed, torch.arange(rows.start, rows.stop), self._table)
