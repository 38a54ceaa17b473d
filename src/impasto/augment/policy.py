"""What section ``augment`` does to single images: flip and crop, TrivialAugment or AugMix, erasing, in this order."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.augment import augmix, erase, geometry, trivial
from impasto.augment.trivial import Op
from impasto.config.augment import Augment
from impasto.data.images import to_unit
from impasto.rng import generator

_AUGMIX = {"all": augmix.ALL, "official": augmix.OFFICIAL, "noisymix": (*augmix.OFFICIAL, Op.COLOR)}


class AugmentDraws(NamedTuple):
    """The draws of n images; a part that is switched off is None."""

    crop: geometry.CropDraws | None
    trivial: trivial.TrivialDraws | None
    augmix: augmix.AugMixDraws | None
    erase: erase.EraseDraws | None

    def rows(self, index: Tensor) -> AugmentDraws:
        """The draws of some of the images; ``index`` holds row numbers (int64 [m])."""
        return AugmentDraws(
            self.crop and self.crop.rows(index),
            self.trivial and self.trivial.rows(index),
            self.augmix and self.augmix.rows(index),
            self.erase and self.erase.rows(index),
        )


def draw(config: Augment, n: int, size: tuple[int, int], seed: int, epoch: int, view: int = 0) -> AugmentDraws:
    """Draw an epoch's augmentation; each part has a generator of its own.

    Args:
        config: what is switched on.
        n: number of images.
        size: their height and width, px.
        seed: seed of the run.
        epoch: number of the epoch.
        view: where an image is shown several times, which of them; each has draws of its own.
    """
    counters = (epoch, view) if view else (epoch,)
    moved, operations = config.flip or config.crop, _AUGMIX.get(config.augmix)
    return AugmentDraws(
        crop=geometry.draw(n, padding=config.crop, flip=config.flip / 2, generator=generator(seed, "crop", *counters))
        if moved
        else None,
        trivial=trivial.draw(n, generator(seed, "trivial", *counters)) if config.trivial else None,
        augmix=augmix.draw(n, generator(seed, "augmix", *counters), ops=operations) if operations else None,
        erase=erase.draw(n, size, p=config.erase, generator=generator(seed, "erase", *counters))
        if config.erase
        else None,
    )


def clean(draws: AugmentDraws) -> AugmentDraws:
    """Flip and crop alone."""
    return AugmentDraws(draws.crop, None, None, None)


def apply(images: Tensor, draws: AugmentDraws, allowed: Tensor) -> Tensor:
    """Augment a batch.

    Args:
        images: uint8 [B, 3, H, W]. Unchanged.
        draws: one row per image.
        allowed: bool [B] on the CPU, whether TrivialAugment or AugMix may act on the image.

    Returns:
        float32 [B, 3, H, W] in [0, 1], channels last.
    """
    if draws.crop is not None:
        images = geometry.apply(images, draws.crop)
    if draws.trivial is not None:
        kept = draws.trivial._replace(op=torch.where(allowed, draws.trivial.op, trivial.Op.IDENTITY))
        images = trivial.apply(images, kept)
    if draws.augmix is not None:
        images = augmix.apply(images, draws.augmix.only(allowed))
    if draws.erase is not None:
        images = erase.apply(images, draws.erase)
    return to_unit(images)
