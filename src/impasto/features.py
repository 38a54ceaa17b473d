"""What a frozen network makes of the images of a stream, computed once and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from impasto.data.stream import room
from impasto.progress import notice

_CHUNK = 64  # rows that pass the network at once
Table = list[Tensor]
"""Features of all rows of a stream, one tensor [n, ...] or several."""


class Features:
    """What a network made of the images of some streams; it is kept as long as the network and the images are the same.

    Of a pretrained network the runs of all seeds of a stage share it.

    Args:
        limit: bytes in all; what does not fit is not kept. None: half of :func:`impasto.data.stream.room`.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._kept: dict[str, tuple[object, Table]] = {}

    def table(
        self, name: str, key: object, n: int, compute: Callable[[Tensor], Sequence[Tensor]], device: torch.device
    ) -> Table | None:
        """The features of n rows, tensors [n, ...], those that are kept or else computed now.

        Args:
            name: of the stream; of each name the last table is kept.
            key: what they depend on.
            n: number of rows.
            compute: from rows int64 [b] to their features, tensors [b, ...].
            device: where they are kept.

        Returns:
            None if they do not fit.
        """
        if name in self._kept and self._kept[name][0] == key:
            return self._kept[name][1]
        self._kept.pop(name, None)
        first, *others = torch.arange(n).split(_CHUNK)
        some = compute(first)
        need = sum(n * each[0].numel() * each.element_size() for each in some)
        limit = room(device) // 2 if self._limit is None else self._limit
        held = sum(each.numel() * each.element_size() for _, kept in self._kept.values() for each in kept)
        if need + held > limit:
            have = f"{need / 1e9:.1f} GB, and {max(0, limit - held) / 1e9:.1f} GB are free"
            notice(f"features of the {name} images need {have}: they are computed anew in every epoch")
            return None
        table = [each.new_empty((n, *each.shape[1:])) for each in some]
        for rows in (first, *others):
            for whole, part in zip(table, some if rows is first else compute(rows), strict=True):
                whole[rows[0] : rows[-1] + 1] = part
        self._kept[name] = key, table
        return table
