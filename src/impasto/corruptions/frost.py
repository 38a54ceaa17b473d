"""Frost of -C: photographs of frosted glass over the image (Hendrycks and Dietterich, ICLR 2019, section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.corruptions import frost_bank
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.pixels import truncate_levels


def draw_frost(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Which photograph, top row and left column: int64 [B, 3]."""
    return frost_bank.load(parameters[2], size, rng.ids.device).draw(rng)


@corruption(draw=draw_frost)
def frost(images: Tensor, places: Tensor, image: float, ice: float, scale: float, *, dtype: torch.dtype) -> Tensor:
    """``image`` times the image plus ``ice`` times a crop of a photograph at ``scale`` of its size.

    The photographs come from :mod:`impasto.corruptions.frost_bank`.

    Raises:
        ImpastoError: they are not on this machine.
    """
    bank = frost_bank.load(scale, (images.shape[2], images.shape[3]), images.device)
    return blend(images, bank.crops(places), image, ice, dtype)


def blend(images: Tensor, others: Tensor, image: float, other: float, dtype: torch.dtype) -> Tensor:
    """A weighted sum of two uint8 tensors of one shape, clipped at 255 and truncated to uint8."""
    return truncate_levels(images.to(dtype).mul_(image).add_(others.to(dtype).mul_(other)))
