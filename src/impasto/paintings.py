"""The rolling bank of stylised images.

Painting is the dearest part of an epoch, so a finished painting (uint8) is kept and shown again
until the plan asks for a fresh one. With ``refresh`` 1 every stylised image is painted anew each time
it is shown (Siedel et al., section 3.2); with 0.1 a tenth of them is.

A painting has a slot from when it is made. There are at most as many slots as go into 1 GiB (350,000 at 32 px), or as
one epoch shows where that is more. When all are taken, new paintings take those that have had theirs the longest, and
that the epoch does not show: images that come back after that are painted again. So memory does not grow with the
number of synthetic images, and sets of usual size lose nothing.

A resume point must find the paintings as they were when it was saved, and not those that the killed
run made after that. So the file changes only in :meth:`Paintings.settle`, and whatever it takes up
there stands in the saved state as well: a half-written file is completed from the state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto import ranks
from impasto.data.stream import Stream
from impasto.io import read_npy
from impasto.mix import Plan
from impasto.slots import Slots

#: uint8 [B, 3, H, W], style ids int64 [B], alpha float32 [B] -> uint8 [B, 3, H, W]
Stylise = Callable[[Tensor, Tensor, Tensor], Tensor]


class Paintings:
    """Paints what a plan needs and keeps it.

    Args:
        stylise: the style transfer.
        streams: (original, synthetic).
        refresh: share of the stylised images of an epoch that is painted anew, in (0, 1].
        device: where the paintings are kept.
        file: where a killed run finds them; used only if ``refresh`` < 1. Without one they all stay in the state.
        batch: images painted at once.
        limit: bytes of paintings that are kept, if an epoch does not show more.
    """

    def __init__(
        self,
        stylise: Stylise,
        streams: tuple[Stream, Stream],
        refresh: float,
        device: torch.device,
        file: Path | None = None,
        batch: int = 256,
        limit: int = 1 << 30,
    ) -> None:
        self._stylise, self._streams, self._refresh, self._batch = stylise, streams, refresh, batch
        self._device, self._file = device, file if refresh < 1 else None
        size = streams[0].size
        self._limit = limit // (3 * size * size)
        self._store = torch.empty((0, 3, size, size), dtype=torch.uint8, device=device)
        self._slots = Slots()
        self._unsettled = torch.zeros(0, dtype=torch.bool)

    def begin(self, streams: tuple[Stream, Stream]) -> None:
        """Go on with other images of the same number and size; no painting is kept."""
        self._streams, self._slots = streams, Slots()
        self._unsettled.zero_()

    def painted(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """Paintings uint8 [B, 3, H, W] that are not kept; the arguments are those of the style transfer."""
        return self._stylise(images, styles, alpha)

    def paint(self, plan: Plan) -> None:
        """Paint what the plan shows for the first time or wants fresh."""
        shown = plan.stylised.nonzero()[:, 0]
        if self._refresh == 1:
            slots, new = torch.arange(len(shown)), torch.ones(len(shown), dtype=torch.bool)
        else:
            slots, new = self._slots.take(self._names(plan)[shown], self._limit)
        self._reserve(int(slots.max()) + 1 if len(slots) else 0)
        due = (new | (plan.fresh[shown] < self._refresh)).nonzero()[:, 0]

        def made(some: Tensor) -> Tensor:
            rows = shown[some]
            images = gather(self._streams, plan.synthetic[rows], plan.row[rows])
            return self._stylise(images, plan.style[rows], plan.alpha[rows])

        def blank(some: Tensor) -> Tensor:
            return self._store.new_empty((len(some), *self._store.shape[1:]))

        for some, pixels in ranks.dealt(due.split(self._batch), made, blank):
            self._store[slots[some].to(self._device, non_blocking=True)] = pixels
        self._unsettled[slots[due]] = self._refresh < 1
        self._places = torch.full_like(plan.row, -1).scatter_(0, shown, slots)
        self.repainted = len(due)

    def show(self, places: Tensor) -> Tensor:
        """The paintings uint8 [B, 3, H, W] of the last plan's rows ``places`` (int64 [B], all of them stylised)."""
        return self._store[self._places[places].to(self._device, non_blocking=True)]

    def state(self) -> dict[str, Tensor]:
        """What a resume point keeps: whose the slots are, and the paintings that the file lacks."""
        slots = self._unsettled.nonzero()[:, 0]
        pixels = self._store[slots.to(self._device)].cpu()
        return {**self._slots.state(), "slots": slots, "pixels": pixels}

    def settle(self) -> None:
        """Move the paintings of the last :meth:`state`, which is saved by now, to the file."""
        slots = self._unsettled.nonzero()[:, 0]
        if self._file is not None and len(slots):
            array = self._open(len(self._store))
            array[slots.numpy()] = self._store[slots.to(self._device)].cpu().numpy()
            array.flush()
            self._unsettled.zero_()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the paintings of an interrupted run."""
        self._slots = Slots(state)
        self._reserve(len(self._slots))
        self._unsettled[state["slots"]] = True
        self._store[state["slots"].to(self._device)] = state["pixels"].to(self._device)
        settled = (~self._unsettled[: len(self._slots)]).nonzero()[:, 0]
        if self._file is not None and len(settled):
            kept = np.array(read_npy(self._file)[settled.numpy()])
            self._store[settled.to(self._device)] = torch.from_numpy(kept).to(self._device)

    def _names(self, plan: Plan) -> Tensor:
        """A number for the painting of each row of the plan; two copies of a row in one epoch have two."""
        original, synthetic = (len(stream) for stream in self._streams)
        first = torch.where(plan.synthetic, original, 0)
        return first + plan.row + plan.copy * (original + synthetic)

    def _reserve(self, slots: int) -> None:
        """Make room for so many slots, and for some more: the paintings are copied on the way."""
        have = len(self._store)
        if slots > have:
            room = max(slots, min(have * 3 // 2, self._limit))
            store = torch.empty((room, *self._store.shape[1:]), dtype=torch.uint8, device=self._device)
            store[:have] = self._store
            unsettled = torch.zeros(room, dtype=torch.bool)
            unsettled[:have] = self._unsettled
            self._store, self._unsettled = store, unsettled

    def _open(self, slots: int) -> np.memmap[Any, np.dtype[np.uint8]]:
        """The file as a memory map of at least so many slots."""
        assert self._file is not None
        kept = np.lib.format.open_memmap(self._file, mode="r+") if self._file.exists() else None
        if kept is not None and len(kept) >= slots:
            return kept
        self._file.parent.mkdir(parents=True, exist_ok=True)
        longer, shape = self._file.with_suffix(".part"), (slots, *self._store.shape[1:])
        array = np.lib.format.open_memmap(longer, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # so that a full disk is an error here, and no bus error in an epoch
            with longer.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, longer.stat().st_size)
        if kept is not None:
            array[: len(kept)] = kept
        array.flush()
        longer.replace(self._file)
        return array


def gather(streams: tuple[Stream, Stream], synthetic: Tensor, rows: Tensor) -> Tensor:
    """Images uint8 [B, 3, H, W] from the original or the synthetic stream, as ``synthetic`` (bool [B]) says."""
    if not bool(synthetic.any()):
        return streams[0].gather(rows)
    if bool(synthetic.all()):
        return streams[1].gather(rows)
    original = streams[0].gather(rows[~synthetic])
    out = original.new_empty((len(rows), *original.shape[1:]))
    # By number and not by mask: how many a mask selects, a GPU would be asked and waited for.
    for mask, images in ((~synthetic, original), (synthetic, streams[1].gather(rows[synthetic]))):
        out[mask.nonzero()[:, 0].to(out.device, non_blocking=True)] = images
    return out
