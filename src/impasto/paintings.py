"""The rolling bank of stylised images.

Painting is the dearest part of an epoch, so a finished painting (uint8) is kept and shown again
until the plan asks for a fresh one. With ``refresh`` 1 every stylised image is painted anew each time
it is shown (Siedel et al., section 3.2); with 0.1 a tenth of them is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.data.stream import Stream
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
        file: where they are kept as well so that a killed run finds them; needed only if ``refresh`` < 1.
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
        self._store = torch.empty((0, 3, streams[0].size, streams[0].size), dtype=torch.uint8, device=device)

    def paint(self, plan: Plan) -> None:
        """Paint what the plan shows for the first time or wants fresh."""
        slots = self._slots(plan)
        self._grow(int(slots.max()) + 1 if len(slots) else 0)
        if self._refresh == 1:
            self.painted.zero_()
        due = plan.stylised & (~self.painted[slots] | (plan.fresh < self._refresh))
        places = due.nonzero()[:, 0]
        for some in places.split(self._batch):
            images = gather(self._streams, plan.synthetic[some], plan.row[some])
            self._keep(slots[some], self._stylise(images, plan.style[some], plan.alpha[some]))
        self.painted[slots[places]] = True
        self.repainted = len(places)

    def show(self, plan: Plan, places: Tensor) -> Tensor:
        """The paintings uint8 [B, 3, H, W] of the plan's rows ``places`` (int64 [B], all of them stylised)."""
        return self._store[self._slots(plan)[places].to(self._device)]

    def restore(self, painted: Tensor) -> None:
        """Take up the paintings of an interrupted run."""
        self._grow(len(painted))
        self.painted = painted.clone()
        if self._file is not None and len(painted):
            kept = np.lib.format.open_memmap(self._file, mode="r")
            rows = painted.nonzero()[:, 0]
            self._store[rows.to(self._device)] = torch.from_numpy(kept[rows.numpy()]).to(self._device)

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
        self._store, self.painted = store, torch.cat([self.painted, torch.zeros(slots - have, dtype=torch.bool)])
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            longer = self._file.with_suffix(".part")
            array = np.lib.format.open_memmap(longer, mode="w+", dtype=np.uint8, shape=(slots, 3, size, size))
            if self._file.exists():
                kept = np.lib.format.open_memmap(self._file, mode="r")
                array[: len(kept)] = kept[:slots]
            array.flush()
            longer.replace(self._file)

    def _keep(self, slots: Tensor, pixels: Tensor) -> None:
        self._store[slots.to(self._device)] = pixels
        if self._file is not None:
            np.lib.format.open_memmap(self._file, mode="r+")[slots.numpy()] = pixels.cpu().numpy()


def gather(streams: tuple[Stream, Stream], synthetic: Tensor, rows: Tensor) -> Tensor:
    """Images uint8 [B, 3, H, W] from the original or the synthetic stream, as ``synthetic`` (bool [B]) says."""
    if not bool(synthetic.any()):
        return streams[0].gather(rows)
    if bool(synthetic.all()):
        return streams[1].gather(rows)
    original = streams[0].gather(rows[~synthetic])
    out = original.new_empty((len(rows), *original.shape[1:]))
    mask = synthetic.to(out.device)
    out[~mask] = original
    out[mask] = streams[1].gather(rows[synthetic])
    return out
