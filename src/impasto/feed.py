"""Batches for the training loop: a plan applied to streams, paintings and augmentation."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto import ranks
from impasto.augment import policy
from impasto.config.augment import Augment
from impasto.config.mix import Mix
from impasto.config.style import Difference
from impasto.copies import Copies, Redraw, show_copies
from impasto.data.stream import Stream
from impasto.errors import ImpastoError
from impasto.faithful import PAINTED, faithful_draws, left_out
from impasto.features import Features
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
        faithful: in what styles are drawn as the paper's code draws them (:mod:`impasto.faithful`).
        copies: rows at the end of the original stream that are copies of others; None if there are none.
        redraw: how these are drawn anew when a phase of the training begins; None keeps them.
        features: where what a frozen network makes of the images is kept; runs may share it.
        views: how often a batch shows each image: once, or the plain image and then two augmentations of the plan's.
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
    faithful: Collection[Difference] = ()
    views: int = 1
    copies: Copies | None = None
    redraw: Redraw | None = None
    features: Features = field(default_factory=Features)

    def __post_init__(self) -> None:
        self.drawn: list[Copies] = []
        if self.mix.most_synthetic > 0 and not len(self.streams[1]):
            raise ImpastoError(
                f"lambda is {self.mix.lambda_}, but there are no synthetic images",
                where="params.yaml: lambda, synthetic.source",
                remedy="Set lambda to 0 or choose a synthetic.source.",
            )

    def __len__(self) -> int:
        """Images of an epoch: as many as there are originals, copies not counted."""
        return self.copies.first if self.copies else len(self.streams[0])

    @property
    def still(self) -> bool:
        """Whether every original image, and every copy, looks the same whenever it is shown, and nothing else is."""
        own, mix = self.augment, self.mix
        acts = (
            own.flip, own.crop, own.trivial, own.augmix != "none", own.erase, own.mixup, own.cutmix, own.noise,
            own.feature_noise != "none", own.deepaugment.share,
        )  # fmt: skip
        return self.views == 1 and mix.most_synthetic == 0 and mix.most_stylised == 0 and not any(acts)

    def pictures(self, rows: Tensor) -> Tensor:
        """What rows (int64 [B], CPU) of the original stream look like where that is always so; uint8 [B, 3, H, W]."""
        images = self.streams[0].gather(rows)
        if self.copies is None or self.copies.kind not in ("style", "reconstruction"):
            return images
        places = (rows >= self.copies.first).nonzero()[:, 0]
        if len(places):
            at, there = rows[places] - self.copies.first, places.to(images.device)
            images[there] = self.paintings.painted(images[there], self.copies.style[at], self.copies.alpha[at])
        return images

    def put(self, *drawn: Copies) -> None:
        """Let other copies, drawn anew for one stage after the other, follow on the images; the last of them are shown.

        ``drawn`` holds all of them, in their order.
        """
        self.drawn += drawn
        if drawn:
            self.copies = drawn[-1]
            self.streams = (self.streams[0].copied(len(self), self.copies.content), self.streams[1])
            self.paintings.begin(self.streams)

    def plan(self, epoch: int) -> Plan:
        """The plan of an epoch."""
        plan = draw_plan(
            self.streams[0].labels,
            self.streams[1].labels,
            self.mix,
            strength=self.strength,
            styles=self.styles,
            batch=self.batch,
            seed=self.seed,
            epoch=epoch,
            length=len(self),
        )
        plan = self._as_published(plan, epoch) if self.faithful else plan
        return show_copies(plan, self.copies, self.mix.combine_o) if self.copies else plan

    def _as_published(self, plan: Plan, epoch: int) -> Plan:
        """The plan with the columns that the paper's code draws otherwise."""
        rules = self.augment.trivial or self.augment.augmix != "none"
        painted = PAINTED if rules and "left_out" in self.faithful else 1.0
        if "groups" in self.faithful:
            draws = faithful_draws(
                plan.synthetic, self.mix, styles=self.styles, seed=self.seed, epoch=epoch, painted=painted
            )
            return plan._replace(**draws._asdict())
        return plan if painted == 1 else plan._replace(style=left_out(plan.style, painted, self.seed, epoch))

    def epoch(self, epoch: int) -> tuple[Plan, Iterator[tuple[Tensor, Tensor]]]:
        """Paint what an epoch needs and return its plan and its batches.

        Each batch is (images float32 [V b, 3, H, W] in [0, 1], labels int64 [B]) on the device for V views; row
        v b + i is view v of image i. The labels are those of the batch, the images those of its rows that this process
        computes (:func:`impasto.ranks.share`): all B, if there is no other.
        """
        plan = self.plan(epoch)
        self.paintings.paint(plan)
        return plan, self._batches(plan, epoch)

    def _batches(self, plan: Plan, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.streams[0].size
        draws = [policy.draw(self.augment, len(plan.row), (size, size), self.seed, epoch, v) for v in range(self.views)]
        labels = torch.empty_like(plan.row)
        for stream, mask in zip(self.streams, (~plan.synthetic, plan.synthetic), strict=True):
            labels[mask] = stream.labels[plan.row[mask]]
        for rows in plan.batches(self.batch):
            with ranks.sharing(rows.stop - rows.start, self.views) as own:  # the caller works on the batch meanwhile
                images = self._views(plan, torch.arange(rows.start, rows.stop)[own], draws)
                yield images, labels[rows].to(self.device, non_blocking=True)

    def _views(self, plan: Plan, rows: Tensor, draws: list[policy.AugmentDraws]) -> Tensor:
        """Some rows of the plan (int64 [b]) as the network sees them, one view after the other."""
        parts = [each.rows(rows) for each in draws]
        plain = gather(self.streams, plan.synthetic[rows], plan.row[rows])
        first, *others = parts
        views = [policy.apply(plain, policy.clean(first), plan.trivial[rows])] if others else []
        painted = self._painted(plain, plan, rows)
        views += [policy.apply(painted, part, plan.trivial[rows]) for part in others or parts]
        return torch.cat(views) if others else views[0]

    def _painted(self, images: Tensor, plan: Plan, rows: Tensor) -> Tensor:
        """The images uint8 [b, 3, H, W] with those of the bank in the places that are stylised; overwritten."""
        places = plan.stylised[rows].nonzero()[:, 0]
        if len(places):
            images[places.to(images.device, non_blocking=True)] = self.paintings.show(rows[places])
        return images
