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


class Official:
    """A benchmark's files: sets in the layout of -C, in one folder or in several beside each other.

    Args:
        images: the clean test set.
        root: a set, or a folder of sets such as ``CIFAR-10-C`` and ``CIFAR-10-C-bar``.
        device: where batches are wanted.

    Raises:
        ImpastoError: there is no set, a set holds other labels than the clean images, or a file is wrong.
    """

    def __init__(self, images: Images, root: Path, device: torch.device) -> None:
        self._images, self._device = images, device
        self._sets = _sets(root)
        for one in self._sets:
            one.check(images.labels)
        self.source = "; ".join(f"{one.root.name}, {one.origin}" for one in self._sets)

    def labels(self, cell: Cell) -> np.ndarray:
        """Those of the clean images, or of the class folders that the corrupted ones lie in."""
        return self._images.labels if cell == CLEAN else self._holder(cell[0]).labels(*cell)

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """See :class:`CorruptedSets`.

        Raises:
            ImpastoError: no set has the corruption or the severity, or a file is damaged.
        """
        if cell == CLEAN:
            return to_device(self._images.pixels[rows], self._device)
        return to_device(self._holder(cell[0]).open(*cell)[rows], self._device).permute(0, 3, 1, 2)

    def _holder(self, name: str) -> OfficialSet:
        return next((one for one in self._sets if name in one.names), self._sets[0])


def _sets(root: Path) -> list[OfficialSet]:
    places = [root, *sorted(path for path in root.glob("*") if path.is_dir())] if root.is_dir() else []
    found = [OfficialSet(path) for path in places if holds_set(path)]
    if not found:
        remedy = "Get one with `impasto fetch`, or make one with `impasto corrupt`."
        raise ImpastoError(f"{root} holds no corrupted test set", where="evaluate.root", remedy=remedy)
    return found
