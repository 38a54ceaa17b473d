"""A stream of labelled images that batches are gathered from, resident on the device where it fits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from impasto.data.images import to_device


class Stream:
    """Rows of an image array.

    Args:
        pixels: uint8 [P, 3, H, W], possibly a memory map.
        labels: int64 [P].
        rows: int64 [M], the rows that belong to the stream.
        device: where batches are wanted.
        resident: bytes that may be kept on the device; a larger stream stays a memory map.
    """

    def __init__(
        self, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray, device: torch.device, resident: int = 4 << 30
    ) -> None:
        self.labels = torch.from_numpy(labels[rows].astype(np.int64))
        self.size = int(pixels.shape[-1])
        self._device, self._pixels, self._rows = device, pixels, rows
        fits = len(rows) * int(np.prod(pixels.shape[1:])) <= resident
        self._held = to_device(pixels[rows], device) if fits else None

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, rows: Tensor) -> Tensor:
        """The images uint8 [B, 3, H, W] at ``rows`` (int64 [B], CPU) of the stream, on the device."""
        if self._held is not None:
            return self._held[rows.to(self._device, non_blocking=True)]
        return to_device(self._pixels[self._rows[rows.numpy()]], self._device)
