"""The rolling bank of stylised images.

Painting is the dearest part of an epoch, so a finished painting (uint8) is kept and shown again
until the plan asks for a fresh one. With ``refresh`` 1 every stylised image is painted anew each time
it is shown (Siedel et al., section 3.2); with 0.1 a tenth of them is.

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
    """

    def __init__(
        self,
        stylise: Stylise,
        streams: tuple[Stream, Stream],
        refresh: float,
        device: torch.device,
        file: Path | None = None,
        batch: int = 256,
    ) -> None:
        self._stylise, self._streams, self._refresh, self._batch = stylise, streams, refresh, batch
        self._device, self._file = device, file if refresh < 1 else None
        self.painted = torch.zeros(0, dtype=torch.bool)
        self._unsettled = torch.zeros(0, dtype=torch.bool)
        self._store = torch.empty((0, 3, streams[0].size, streams[0].size), dtype=torch.uint8, device=device)

    def paint(self, plan: Plan) -> None:
        """Paint what the plan shows for the first time or wants fresh."""
        slots = self._slots(plan)
        self._grow(int(slots.max()) + 1 if len(slots) else 0)
        if self._refresh == 1:
            self.painted.zero_()
        due = plan.stylised & (~self.painted[slots] | (plan.fresh < self._refresh))
        places = due.nonzero()[:, 0]

        def made(some: Tensor) -> Tensor:
            images = gather(self._streams, plan.synthetic[some], plan.row[some])
            return self._stylise(images, plan.style[some], plan.alpha[some])

        def blank(some: Tensor) -> Tensor:
            return self._store.new_empty((len(some), *self._store.shape[1:]))

        for some, pixels in ranks.dealt(places.split(self._batch), made, blank):
            self._store[slots[some].to(self._device, non_blocking=True)] = pixels
        self.painted[slots[places]] = True
        self._unsettled[slots[places]] = self._refresh < 1
        self.repainted = len(places)

    def show(self, plan: Plan, places: Tensor) -> Tensor:
        """The paintings uint8 [B, 3, H, W] of the plan's rows ``places`` (int64 [B], all of them stylised)."""
        return self._store[self._slots(plan)[places].to(self._device, non_blocking=True)]

    def state(self) -> dict[str, Tensor]:
        """What a resume point keeps: which slots are painted, and the paintings that the file lacks."""
        slots = self._unsettled.nonzero()[:, 0]
        return {"painted": self.painted, "slots": slots, "pixels": self._store[slots.to(self._device)].cpu()}

    def settle(self) -> None:
        """Move the paintings of the last :meth:`state`, which is saved by now, to the file."""
        slots = self._unsettled.nonzero()[:, 0]
        if self._file is not None and len(slots):
            array = self._open(len(self.painted))
            array[slots.numpy()] = self._store[slots.to(self._device)].cpu().numpy()
            array.flush()
            self._unsettled.zero_()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the paintings of an interrupted run."""
        slots, painted = state["slots"], state["painted"].clone()
        self._grow(len(painted))
        self.painted, self._unsettled[slots] = painted, True
        self._store[slots.to(self._device)] = state["pixels"].to(self._device)
        settled = (painted & ~self._unsettled).nonzero()[:, 0]
        if self._file is not None and len(settled):
            kept = np.array(read_npy(self._file)[settled.numpy()])
            self._store[settled.to(self._device)] = torch.from_numpy(kept).to(self._device)

    def _slots(self, plan: Plan) -> Tensor:
        """Where each row of the plan has its painting; two copies of a row in one epoch have two."""
        if self._refresh == 1:
            return torch.arange(len(plan.row))
        original, synthetic = (len(stream) for stream in self._streams)
        first = torch.where(plan.synthetic, original, 0)
        return first + plan.row + plan.copy * (original + synthetic)

    def _grow(self, slots: int) -> None:
        have = len(self.painted)
        if slots <= have:
            return
        size = self._streams[0].size
        store = torch.empty((slots, 3, size, size), dtype=torch.uint8, device=self._device)
        store[:have] = self._store
        new = torch.zeros(slots - have, dtype=torch.bool)
        self._store, self.painted = store, torch.cat([self.painted, new])
        self._unsettled = torch.cat([self._unsettled, new])

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
