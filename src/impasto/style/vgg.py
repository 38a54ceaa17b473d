"""The published networks of AdaIN: the normalised VGG-19 encoder and its decoder, layer by layer.

The weights are those of ``naoto0804/pytorch-AdaIN`` (``vgg_normalised.pth`` and ``decoder.pth``), which Siedel et al.
(arXiv 2512.15675) use as they are. Both files name their tensors by the number of the layer in one long sequence, so
the sequences here have the same layers at the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn

from impasto.data.weights import Shapes, shapes
from impasto.precision import in_full
from impasto.style.doubling import doubled_early
from impasto.style.encoders import resized

LAYERS = 31
"""Layers of the encoder, up to relu4_1; the published file goes on to relu5_4 with layer 52."""

_LEVELS = (4, 11, 18, LAYERS)  # relu1_1, relu2_1, relu3_1 and relu4_1 are the layers before these

_IN_FULL = 7
"""Layers, up to relu1_2, that autocast leaves in float32: a quarter of bfloat16's error for an eighth of the time."""


class Vgg19Encoder(nn.Module):
    """The normalised VGG-19 up to relu4_1, with reflected borders (3,505,740 parameters).

    Its first layer, a 1 x 1 convolution, does the preprocessing: BGR, less the mean.
    The levels are relu1_1 (64 channels at the upscaled side), relu2_1 (128, half), relu3_1 (256, a quarter) and
    relu4_1 (512, an eighth); odd sides are halved upwards.

    Args:
        upscale: side in pixels to which images are resized first, bilinearly, with antialiasing when it shrinks them;
            the paper's is 224.
        weights: tensors of layers 0 to 30 by their published names; those of later layers are passed over.
    """

    channels = 512

    def __init__(self, upscale: int, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.upscale = upscale
        with torch.device("meta"):  # no initial weights: they would cost time and draws from the global generator
            self.layers = _encoder()[:LAYERS]
        self.layers.load_state_dict({name: weights[name] for name in encoder_shapes()}, assign=True)
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Features [B, 64, u, u], [B, 128, u/2, u/2], [B, 256, u/4, u/4], [B, 512, u/8, u/8] of [B, 3, H, W]."""
        features = resized(images, self.upscale).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for number, layer in enumerate(self.layers, start=1):
            with nullcontext() if number > _IN_FULL else in_full(images.device):
                features = layer(features)
            if number in _LEVELS:
                found.append(features)
        return found


class VggDecoder(nn.Module):
    """The published mirror of the encoder (3,505,219 parameters): eight times as wide as its features, not bounded.

    Args:
        weights: all its tensors by their published names.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        with torch.device("meta"):
            self.layers = _decoder()
        self.layers.load_state_dict(dict(weights), assign=True)
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)
        self.quick = doubled_early(self.layers)

    def forward(self, features: Tensor) -> Tensor:
        """Pictures [B, 3, 8h, 8w], about [0, 1] but not clamped, from features [B, 512, h, w].

        As ``layers`` computes them, up to rounding, with fewer operations (:mod:`impasto.style.doubling`).
        """
        pictures: Tensor = self.quick(features)
        return pictures


def encoder_shapes(layers: int = LAYERS) -> Shapes:
    """The tensors of the encoder's first ``layers`` layers; the published file holds those of all 53."""
    with torch.device("meta"):
        return shapes(_encoder()[:layers])


def published_encoder_shapes() -> Shapes:
    """The tensors of ``vgg_normalised.pth``, 20,024,396 numbers."""
    with torch.device("meta"):
        return shapes(_encoder())


def decoder_shapes() -> Shapes:
    """The tensors of ``decoder.pth``."""
    with torch.device("meta"):
        return shapes(_decoder())


def _encoder() -> nn.Sequential:
    """All 53 layers. A convolution is three of them: border, convolution, ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 3, 1),
        *_conv(3, 64, 64),
        _halve(),
        *_conv(64, 128, 128),
        _halve(),
        *_conv(128, 256, 256, 256, 256),
        _halve(),
        *_conv(256, 512, 512, 512, 512),
        _halve(),
        *_conv(512, 512, 512, 512, 512),
    )


def _decoder() -> nn.Sequential:
    """All 29 layers; the last ReLU is left out."""
    return nn.Sequential(
        *_conv(512, 256),
        _double(),
        *_conv(256, 256, 256, 256, 128),
        _double(),
        *_conv(128, 128, 64),
        _double(),
        *_conv(64, 64, 3)[:-1],
    )


def _conv(*channels: int) -> list[nn.Module]:
    """3 x 3 convolutions from each number of channels to the next."""
    return [
        layer
        for a, b in pairwise(channels)
        for layer in (nn.ReflectionPad2d(1), nn.Conv2d(a, b, 3), nn.ReLU(inplace=True))
    ]


def _halve() -> nn.Module:
    return nn.MaxPool2d(2, 2, ceil_mode=True)


def _double() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="nearest")
