"""A head on a frozen network: where every image always looks the same, the network sees each of them once.

What the network below the head makes of an image is computed in batches of 64 rows in the order of the stream, whoever
asks and whenever, so that a resumed run finds the same bits. Against a run that computes it anew in each batch of the
training, it differs by the rounding of differently grouped sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from impasto import ranks
from impasto.data.images import to_unit
from impasto.data.stream import Stream
from impasto.features import Table
from impasto.feed import Feed
from impasto.mix import Plan
from impasto.models.parted import Parted, is_still, parted
from impasto.phase import Phase
from impasto.precision import autocast


class Frozen:
    """Stands in for images and network in a phase in which the head alone learns.

    Args:
        cut: the classifier, in the mode of the phase.
        shown: features of the original stream.
        held: features of the validation images.
        feed: labels, plans and the device.
        precision: of the head.
    """

    def __init__(self, cut: Parted, shown: Table, held: Table, feed: Feed, precision: str) -> None:
        self._cut, self._shown, self._held, self._feed, self._precision = cut, shown, held, feed, precision

    def epoch(self, epoch: int) -> tuple[Plan, Iterator[tuple[Tensor, Tensor]]]:
        """The plan of an epoch and its batches: in place of images rows int64 [B], and labels int64 [B]."""
        plan, labels = self._feed.plan(epoch), self._feed.streams[0].labels
        rows = (plan.row[part] for part in plan.batches(self._feed.batch))
        return plan, ((some, labels[some].to(self._feed.device, non_blocking=True)) for some in rows)

    def parts(
        self, rows: Tensor, labels: Tensor, synthetic: Tensor, *place: int, count: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits and labels of a batch, part by part, as :meth:`impasto.batch_augment.BatchAugment.parts` has them."""
        count = min(count, len(rows))
        for part in range(count):
            some = rows[part::count].to(labels.device)
            with autocast(self._precision, labels.device):
                logits = self._cut.head([each[some] for each in self._shown])
            yield logits, labels[part::count]

    def validated(self, rows: Tensor) -> Tensor:
        """Logits of validation images, rows int64 [b]."""
        return self._cut.head([each[rows.to(each.device)] for each in self._held])


def frozen(model: torch.nn.Module, phase: Phase, feed: Feed, validation: Stream, precision: str) -> Frozen | None:
    """What stands in for images and network in a phase; None where that may not be, or takes too much memory.

    It may where the head alone learns, nothing below it moves or draws, every image is shown plain or as its one
    painting (a copy), and one process computes the run.

    Args:
        model: in the mode of the phase.
        phase: which blocks learn.
        feed: the training images.
        validation: the validation images.
        precision: of the network.
    """
    cut = parted(model) if phase.open == 1 and feed.still and ranks.count() == 1 else None
    if cut is None or not all(map(is_still, cut.parts)):
        return None
    body = cut.digest(), precision

    def compute(pictures: Callable[[Tensor], Tensor], rows: Tensor) -> Table:
        with torch.no_grad(), autocast(precision, feed.device):
            return cut.body(to_unit(pictures(rows)))

    copied = feed.copies and tuple(tuple(column.tolist()) for column in feed.copies[2:])
    original, features = feed.streams[0], feed.features
    shown = features.table("original", (*body, copied), len(original), partial(compute, feed.pictures), feed.device)
    held = shown and features.table(
        "validation", body, len(validation), partial(compute, validation.gather), feed.device
    )
    return Frozen(cut, shown, held, feed, precision) if shown and held else None
