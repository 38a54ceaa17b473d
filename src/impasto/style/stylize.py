"""Painting styles over batches: a batch of images, a style and a strength for each, and back as uint8."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.config.style import Difference, Style
from impasto.errors import ImpastoError
from impasto.style.adain import adain
from impasto.style.bank import StyleBank, load_bank
from impasto.style.decoder import load_decoder
from impasto.style.encoders import ENCODERS, Encoder, resized
from impasto.style.published import load_encoder

Precision: TypeAlias = Literal["fp32", "bf16"]

BANK, DECODER, ENCODER = "bank.safetensors", "decoder.safetensors", "encoder.safetensors"
"""File names in the folder of a style model; only an encoder with downloaded weights is kept there."""

UNPAINTED = -1
"""Instead of a style, where ``faithful`` has ``left_out``: the image is only resampled, as 5 % of the paper's are."""


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
        faithful: in what the paper's code is followed: ``left_out`` heeds ``UNPAINTED`` among the styles, ``aliased``
            shrinks as in :func:`_aliased`.

    Raises:
        ImpastoError: the bank's statistics are those of another encoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: nn.Module,
        bank: StyleBank,
        precision: Precision = "fp32",
        chunk: int = 32,
        faithful: Collection[Difference] = (),
    ) -> None:
        if bank.mean.shape[1] != encoder.channels:
            found = f"the style bank has {bank.mean.shape[1]} channels, the encoder {encoder.channels}"
            remedy = "Choose the encoder that made the bank: published features go with vgg19."
            raise ImpastoError(found, where="style.bank, style.encoder", remedy=remedy)
        self.encoder, self.decoder, self.bank = encoder, decoder, bank
        self.precision, self.chunk, self.faithful = precision, chunk, faithful

    @torch.no_grad()
    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """See :class:`Painter`."""
        painted = torch.empty_like(images)
        styles, alpha = (column.to(images.device, non_blocking=True) for column in (styles, alpha))
        for start in range(0, len(images), self.chunk):
            part = slice(start, start + self.chunk)
            painted[part] = self._paint(images[part], styles[part], alpha[part])
        return painted

    def _paint(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        pixels = images.float() / 255
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            features = self.encoder.levels(pixels)[-1]
            blended = adain(features, self.bank.mean[styles], self.bank.std[styles], alpha)
            pictures = self.decoder(blended).float()
        if "left_out" in self.faithful:
            unpainted = (styles == UNPAINTED)[:, None, None, None]
            pictures = torch.where(unpainted, resized(pixels, pictures.shape[-1]), pictures)
        shrink = _aliased if "aliased" in self.faithful else _antialiased
        return _to_bytes(shrink(pictures, images.shape[-1]))


def _antialiased(pictures: Tensor, size: int) -> Tensor:
    return resized(pictures.clamp(0, 1), size)


def _aliased(pictures: Tensor, size: int) -> Tensor:
    """Shrink bilinearly without antialiasing, and clamp only then.

    From 224 px this keeps one of 49 pixels of a 32 px image, and blurs one of 64 px. One departure is left out: the
    paper's code never clamps. Paintings are kept as uint8, which cannot hold a value outside [0, 1], and no byte
    stands for one: of TrivialAugment's operations, which are drawn later, only Equalize wraps such values modulo
    256; the others clamp them, or pass them on to the network.
    """
    return functional.interpolate(pictures, (size, size), mode="bilinear").clamp(0, 1)


class Recolourer:
    """The control: AdaIN on the pixels themselves, which moves colour and contrast but no texture.

    What training gains from :class:`Stylizer` over this, under the same plan, is due to more than recolouring.

    Args:
        bank: of which the RGB statistics are used; on the device of the images to come.

    Raises:
        ImpastoError: the bank has none.
    """

    def __init__(self, bank: StyleBank) -> None:
        if not bank.rgb_mean.shape[1]:
            raise ImpastoError(
                "the style bank has no statistics of the styles' colours: it was made of features, not of pictures",
                where="style.method",
                remedy="Set style.method to adain, or style.bank to folder or procedural.",
            )
        self.bank = bank

    @torch.no_grad()
    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        """See :class:`Painter`."""
        styles, alpha = styles.to(images.device), alpha.to(images.device)
        pixels = adain(images.float() / 255, self.bank.rgb_mean[styles], self.bank.rgb_std[styles], alpha)
        return _to_bytes(pixels.clamp(0, 1))


def load_painter(folder: Path, style: Style, device: torch.device, precision: Precision) -> Painter:
    """The painter of a fitted style model; reads ``method``, ``encoder``, ``upscale``, ``faithful`` of the parameters.

    Whoever paints calls this, so that the Fréchet curve and the report show the paintings that training sees.

    Args:
        folder: holds ``BANK`` and, for AdaIN, ``DECODER``; where it holds ``ENCODER`` too, nothing is downloaded.
        style: the parameters that the model was fitted with; recolouring has no faithful form.
        device: where to paint.
        precision: see :class:`Stylizer`.

    Raises:
        ImpastoError: a file is missing or damaged, or the method or the encoder does not go with the bank.
    """
    bank = load_bank(folder / BANK).to(device)
    if style.method == "colour":
        return Recolourer(bank)
    encoder = stored_encoder(folder, style)
    encoder.to(device)
    chunk = 32 if device.type == "cpu" else 256
    return Stylizer(encoder, load_decoder(folder / DECODER).to(device), bank, precision, chunk, style.differences)


def stored_encoder(folder: Path, style: Style) -> Encoder:
    """The encoder that the parameters name, on the CPU; weights that the style stage has converted are read there."""
    if style.encoder == "vgg19" and (folder / ENCODER).exists():
        return load_encoder(folder / ENCODER, style.upscale)
    return ENCODERS[style.encoder](style.upscale)


def _to_bytes(pixels: Tensor) -> Tensor:
    """Round float images in [0, 1] to uint8."""
    return pixels.mul(255).round().to(torch.uint8)
