"""Painting styles over batches: a batch of images, a style and a strength for each, and back as uint8."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from impasto.config.style import Style
from impasto.style.adain import adain
from impasto.style.bank import StyleBank, load_bank
from impasto.style.decoder import load_decoder
from impasto.style.encoders import ENCODERS, Encoder, resized

Precision: TypeAlias = Literal["fp32", "bf16"]

BANK, DECODER = "bank.safetensors", "decoder.safetensors"
"""File names in the folder of a fitted style model."""


class Painter(Protocol):
    """A way to give images a style."""

    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """Paint.

        Args:
            images: uint8 [B, 3, H, H].
            styles: rows of the style bank, int64 [B].
            alpha: strength per image, float32 [B] in [0, 1].

        Returns:
            uint8 [B, 3, H, H] on the images' device. An image's result depends on its own row alone, up to the
            rounding of differently grouped sums.
        """
        ...


class Stylizer:
    """AdaIN between a frozen encoder and a fitted decoder, with cached style statistics.

    Args:
        encoder: on the device of the images to come.
        decoder: maps AdaIN features to pictures, about [0, 1]; on the same device.
        bank: style statistics at the encoder's level; on the same device.
        precision: of encoder and decoder; statistics, blending and resizing are always float32.
        chunk: images worked on at once, which bounds the memory. On a CPU 32 is a fifth faster than 64: the features
            stay in its cache. A GPU wants some hundreds.
    """

    def __init__(
        self, encoder: Encoder, decoder: nn.Module, bank: StyleBank, precision: Precision = "fp32", chunk: int = 32
    ) -> None:
        self.encoder, self.decoder, self.bank = encoder, decoder, bank
        self.precision, self.chunk = precision, chunk

    @torch.no_grad()
    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """See :class:`Painter`."""
        painted = torch.empty_like(images)
        styles, alpha = styles.to(images.device), alpha.to(images.device)
        for start in range(0, len(images), self.chunk):
            part = slice(start, start + self.chunk)
            painted[part] = self._paint(images[part], styles[part], alpha[part])
        return painted

    def _paint(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        pixels = images.float() / 255
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            features = self.encoder.levels(pixels)[-1]
            blended = adain(features, self.bank.mean[styles], self.bank.std[styles], alpha)
            pictures = self.decoder(blended)
        return _to_bytes(resized(pictures.float().clamp(0, 1), images.shape[-1]))


class Recolourer:
    """The control: AdaIN on the pixels themselves, which moves colour and contrast but no texture.

    What training gains from :class:`Stylizer` over this, under the same plan, is due to more than recolouring.

    Args:
        bank: of which the RGB statistics are used; on the device of the images to come.
    """

    def __init__(self, bank: StyleBank) -> None:
        self.bank = bank

    @torch.no_grad()
    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """See :class:`Painter`."""
        styles, alpha = styles.to(images.device), alpha.to(images.device)
        pixels = adain(images.float() / 255, self.bank.rgb_mean[styles], self.bank.rgb_std[styles], alpha)
        return _to_bytes(pixels.clamp(0, 1))


def load_painter(folder: Path, style: Style, device: torch.device, precision: Precision) -> Painter:
    """The painter of a fitted style model; reads ``method``, ``encoder`` and ``upscale`` of the parameters.

    Args:
        folder: holds ``BANK`` and, for AdaIN, ``DECODER``.
        style: the parameters that the model was fitted with.
        device: where to paint.
        precision: see :class:`Stylizer`.

    Raises:
        ImpastoError: a file is missing or damaged.
    """
    bank = load_bank(folder / BANK).to(device)
    if style.method == "colour":
        return Recolourer(bank)
    encoder = ENCODERS[style.encoder](style.upscale)
    encoder.to(device)
    chunk = 32 if device.type == "cpu" else 256
    return Stylizer(encoder, load_decoder(folder / DECODER).to(device), bank, precision, chunk)


def _to_bytes(pixels: Tensor) -> Tensor:
    """Round float images in [0, 1] to uint8."""
    return pixels.mul(255).round().to(torch.uint8)
