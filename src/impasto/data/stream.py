"""A stream of labelled images that batches are gathered from, resident on the device where it fits."""

from __future__ import annotations

import os
from copy import copy

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
        resident: bytes that may be kept on the device; a larger stream stays a memory map, and only its batches go
            there. By default :func:`room`.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        rows: np.ndarray,
        device: torch.device,
        resident: int | None = None,
    ) -> None:
        self.labels = torch.from_numpy(labels[rows].astype(np.int64))
        self.size = int(pixels.shape[-1])
        self._device, self._pixels, self._rows = device, pixels, rows
        limit = room(device) if resident is None else resident
        fits = len(rows) * int(np.prod(pixels.shape[1:])) <= limit
        self._held = to_device(pixels[rows], device) if fits else None

    def __len__(self) -> int:
        return len(self.labels)

    def copied(self, first: int, rows: Tensor) -> Stream:
        """The first images of the stream, and behind them some of these (int64 [K], CPU) once more."""
        shown = torch.cat([torch.arange(first), rows])
        found = copy(self)
        found.labels, found._rows = self.labels[shown], self._rows[shown.numpy()]
        found._held = None if self._held is None else self._held[shown.to(self._device)]
        return found

    def gather(self, rows: Tensor) -> Tensor:
        """The images uint8 [B, 3, H, W] at ``rows`` (int64 [B], CPU) of the stream, on the device."""
        if self._held is not None:
            return self._held[rows.to(self._device, non_blocking=True)]
        found = torch.from_numpy(np.array(self._pixels[self._rows[rows.numpy()]]))
        # Only from pinned memory does a GPU copy while the host goes on.
        found = found.pin_memory() if self._device.type == "cuda" else found
        return found.to(self._device, non_blocking=True)


def room(device: torch.device) -> int:
    """How many bytes of images a stream may keep on a device.

    A quarter of what is free on a GPU: there are three streams, and the network needs its own. Elsewhere 4 GiB, shared
    out to the processes of the machine, of which each would keep them; a memory map they have in common.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return (4 << 30) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
