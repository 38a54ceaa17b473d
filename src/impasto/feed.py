"""Batches for the training loop: a plan applied to streams, paintings and augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.augment import policy
from impasto.config.augment import Augment
from impasto.config.mix import Mix
from impasto.data.stream import Stream
from impasto.errors import ImpastoError
from impasto.mix import Plan, draw_plan
from impasto.paintings import Paintings, gather


@dataclass
class Feed:
    """Everything an epoch is made of.

    Attributes:
        streams: (original images of the training split, synthetic subset).
        paintings: the rolling bank of stylised images.
        styles: number of styles in the bank.
        mix, augment, strength: the sections that shape an epoch (``strength`` is ``balance.strength``).
        batch: images per batch.
        seed: seed of the run.
        device: where the batches are wanted.
    """

    streams: tuple[Stream, Stream]
    paintings: Paintings
    styles: int
    mix: Mix
    augment: Augment
    strength: float
    batch: int
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        if self.mix.lambda_ > 0 and not len(self.streams[1]):
            raise ImpastoError(
                f"lambda is {self.mix.lambda_}, but there are no synthetic images",
                where="params.yaml: lambda, synthetic.source",
                remedy="Set lambda to 0 or choose a synthetic.source.",
            )

    def __len__(self) -> int:
        """Images of an epoch."""
        return len(self.streams[0])

    def plan(self, epoch: int) -> Plan:
        """The plan of an epoch."""
        return draw_plan(
            self.streams[0].labels,
            self.streams[1].labels,
            self.mix,
            strength=self.strength,
            styles=self.styles,
            batch=self.batch,
            seed=self.seed,
            epoch=epoch,
        )

    def epoch(self, epoch: int) -> tuple[Plan, Iterator[tuple[Tensor, Tensor]]]:
        """Paint what an epoch needs and return its plan and its batches.

        Each batch is (images float32 [B, 3, H, W] in [0, 1], labels int64 [B]) on the device.
        """
        plan = self.plan(epoch)
        self.paintings.paint(plan)
        return plan, self._batches(plan, epoch)

    def _batches(self, plan: Plan, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.streams[0].size
        draws = policy.draw(self.augment, len(plan.row), (size, size), self.seed, epoch)
        labels = torch.empty_like(plan.row)
        for stream, mask in zip(self.streams, (~plan.synthetic, plan.synthetic), strict=True):
            labels[mask] = stream.labels[plan.row[mask]]
        for rows in plan.batches(self.batch):
            part = draws.rows(torch.arange(rows.start, rows.stop))
            images = policy.apply(self._pictures(plan, rows), part, plan.trivial[rows])
            yield images, labels[rows].to(self.device)

    def _pictures(self, plan: Plan, rows: slice) -> Tensor:
        """Unaugmented images uint8 [B, 3, H, W]: stylised ones from the bank, the others from their stream."""
        images = gather(self.streams, plan.synthetic[rows], plan.row[rows])
        places = plan.stylised[rows].nonzero()[:, 0]
        if len(places):
            images[places.to(images.device)] = self.paintings.show(plan, places + rows.start)
        return images
