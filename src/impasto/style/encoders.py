"""Frozen image encoders whose channel statistics stand for style, and the registry that names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from impasto.precision import in_full


class Encoder(Protocol):
    """What style transfer asks of an encoder; an ``nn.Module`` in eval mode, without gradients."""

    channels: int
    """Channels C of the last level, where AdaIN works."""

    def levels(self, images: Tensor) -> list[Tensor]:
        """Features from shallow to deep of float images [B, 3, H, W] in [0, 1]; AdaIN works on the last."""
        ...

    def to(self, device: torch.device) -> object:
        """Move the weights to a device, in place."""
        ...


_IN_FULL = (
    2  # first stages that stay in float32: rounded to bfloat16 they make most of its error, and are hardly faster
)


class EfficientNetLite0Encoder(nn.Module):
    """Early EfficientNet-Lite0 features after their activations, batch normalisation folded in.

    The levels are the stem (32 channels at half the upscaled side), the expansion of block 1 (96, half) and that of
    block 3 (144, a quarter).

    Args:
        upscale: side in pixels to which images are resized first, bilinearly, with antialiasing when it shrinks them.
    """

    channels = 144

    def __init__(self, upscale: int) -> None:
        super().__init__()
        from impasto.models.efficientnet_lite0 import efficientnet_lite0

        network = deepcopy(efficientnet_lite0())
        separable, first, second, third = (network.get_submodule(f"blocks.{at}") for at in ("0.0", "1.0", "1.1", "2.0"))
        self.upscale = upscale
        self.stages = nn.ModuleList(
            [
                _folded(network, "conv_stem", "bn1"),
                nn.Sequential(
                    _folded(separable, "conv_dw", "bn1"),
                    _folded(separable, "conv_pw", "bn2"),
                    _folded(first, "conv_pw", "bn1"),
                ),
                nn.Sequential(
                    _folded(first, "conv_dw", "bn2"),
                    _folded(first, "conv_pwl", "bn3"),
                    _Residual(
                        _folded(second, "conv_pw", "bn1"),
                        _folded(second, "conv_dw", "bn2"),
                        _folded(second, "conv_pwl", "bn3"),
                    ),
                    _folded(third, "conv_pw", "bn1"),
                ),
            ]
        )
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Features [B, 32, u/2, u/2], [B, 96, u/2, u/2], [B, 144, u/4, u/4] of float images [B, 3, H, W] in [0, 1]."""
        from impasto.models.efficientnet_lite0 import normalise

        features = normalise(resized(images, self.upscale)).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            with nullcontext() if number >= _IN_FULL else in_full(images.device):
                features = stage(features)
            found.append(features)
        return found


def _vgg19(upscale: int) -> Encoder:
    from impasto.style.published import published_encoder

    return published_encoder(upscale)


ENCODERS: dict[str, Callable[[int], Encoder]] = {"efficientnet_lite0": EfficientNetLite0Encoder, "vgg19": _vgg19}
"""Encoders by their names in ``style.encoder``; each is built from ``style.upscale``. vgg19 downloads its weights."""


def resized(images: Tensor, side: int) -> Tensor:
    """Float images [B, C, H, W] resized bilinearly to ``side`` x ``side``; antialiased, so shrinking averages."""
    if images.shape[-2:] == (side, side):
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


class _Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.layers(features)
        return features + change


def _folded(block: nn.Module, conv: str, norm: str) -> nn.Module:
    """A convolution with its batch normalisation folded in, followed by that normalisation's activation, if any.

    The "same" padding of even sides keeps its place but reflects instead of filling with zeros: the statistics
    of a style would otherwise hold those of a frame, and the decoder would paint it.
    """
    normalisation = getattr(block, norm)
    folded = fuse_conv_bn_eval(getattr(block, conv), normalisation)
    plain = nn.Conv2d(folded.in_channels, folded.out_channels, folded.kernel_size, folded.stride, groups=folded.groups)
    plain.load_state_dict(folded.state_dict())
    width = folded.kernel_size[0] - folded.stride[0]
    before, after = width // 2, width - width // 2
    padding = [nn.ReflectionPad2d((before, after, before, after))] if width > 0 else []
    return nn.Sequential(*padding, plain, normalisation.act)
