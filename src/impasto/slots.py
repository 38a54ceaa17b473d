"""Who has which slot of a bank that may be full: a ring in which the oldest makes room."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Slots:
    """Slots 0, 1, 2 .. for whoever asks first; int64 tensors on the CPU.

    Args:
        state: what :meth:`state` returned.
    """

    def __init__(self, state: Mapping[str, Tensor] | None = None) -> None:
        self._owner = state["owner"].clone() if state else torch.zeros(0, dtype=torch.int64)  # the name in each slot
        self._next = int(state["next"]) if state else 0  # where the ring goes on
        self._slot = torch.zeros(0, dtype=torch.int64)  # 1 + the slot of each name, or 0
        self._mark(self._owner, torch.arange(len(self._owner)))

    def __len__(self) -> int:
        """Slots that are taken; none is ever empty again."""
        return len(self._owner)

    def state(self) -> dict[str, Tensor]:
        """What to keep."""
        return {"owner": self._owner, "next": torch.tensor(self._next)}

    def take(self, names: Tensor, limit: int) -> tuple[Tensor, Tensor]:
        """The slots of some names at once; those that have none get one.

        Args:
            names: int64 [n], different from each other and not negative.
            limit: slots in all, if ``names`` are not more.

        Returns:
            Slots int64 [n], different from each other, and bool [n]: who has got its slot just now.
        """
        self._mark(names, None)
        slots = self._slot[names] - 1
        new = slots < 0
        count = int(new.sum())
        more = min(count, max(limit, len(names), len(self)) - len(self))
        given = torch.cat([torch.arange(len(self), len(self) + more), self._oldest(count - more, slots[~new])])
        self._slot[self._owner[given[more:]]] = 0
        self._owner = torch.cat([self._owner, names.new_empty(more)])
        slots[new], self._owner[given] = given, names[new]
        self._mark(names[new], given)
        return slots, new

    def _oldest(self, count: int, kept: Tensor) -> Tensor:
        """The next ``count`` slots of the ring that are not among ``kept``; the ring moves on."""
        free = torch.ones(len(self), dtype=torch.bool)
        free[kept] = False
        ring = (torch.arange(len(self)) + self._next) % max(len(self), 1)
        found = ring[free[ring]][:count]
        if count:
            self._next = (int(found[-1]) + 1) % len(self)
        return found

    def _mark(self, names: Tensor, slots: Tensor | None) -> None:
        """Make the table long enough for ``names``, and write their slots into it."""
        longer = int(names.max()) + 1 - len(self._slot) if len(names) else 0
        if longer > 0:
            self._slot = torch.cat([self._slot, self._slot.new_zeros(longer)])
        if slots is not None:
            self._slot[names] = slots + 1
