"""Densely connected networks (Huang et al. 2017) for images of 32 or 64 px, as in Siedel et al. 2025.

Layers per stage and name follow the DenseNets for ImageNet, the stem those for CIFAR: one 3x3 convolution
without pooling. DenseNet-201-12 (depth 201, growth 12) has 2,604,490 parameters for 10 classes.
Unlike there, weights start as PyTorch draws them.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from impasto.models.layers import ACTIVATIONS, pooled
from impasto.models.registry import register

LAYERS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
"""Depth -> layers in each of the four stages."""

_BOTTLENECK = 4  # channels between a layer's two convolutions, in units of the growth


class Layer(nn.Module):
    """(Norm, activation, convolution) twice, 1x1 and 3x3; the result joins the input's channels.

    Args:
        inputs: channels of the input.
        growth: channels that are added.
        activation: a key of :data:`ACTIVATIONS`.
    """

    def __init__(self, inputs: int, growth: int, activation: str) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.new = nn.Sequential(
            *_norm_convolution(inputs, inner, 1, activation), *_norm_convolution(inner, growth, 3, activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, inputs + growth, H, W)."""
        return torch.cat((x, self.new(x)), dim=1)


@register("densenet")
def densenet(classes: int, *, depth: int, width: int, stem_stride: int, activation: str) -> OrderedDict[str, nn.Module]:
    """The blocks ``stem``, ``stage1`` to ``stage4`` and ``head``; a stage but the last ends with its transition.

    Args:
        classes: number of logits.
        depth: a key of :data:`LAYERS`.
        width: the growth, channels that each layer adds.
        stem_stride: 1, or 2 to halve the resolution in the first layer, as the paper's code does at 64 px.
        activation: a key of :data:`ACTIVATIONS`.

    Returns:
        Modules to run one after the other on normalised images (N, 3, H, W).
    """
    channels = 2 * width
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Conv2d(3, channels, 3, stride=stem_stride, padding=1, bias=False)
    for stage, layers in enumerate(LAYERS[depth], start=1):
        block: list[nn.Module] = [Layer(channels + n * width, width, activation) for n in range(layers)]
        channels += layers * width
        if stage < len(LAYERS[depth]):
            block += [*_norm_convolution(channels, channels // 2, 1, activation), nn.AvgPool2d(2)]
            channels //= 2
        parts[f"stage{stage}"] = nn.Sequential(*block)
    parts["head"] = nn.Sequential(nn.BatchNorm2d(channels), ACTIVATIONS[activation](), *pooled(channels, classes))
    return parts


def _norm_convolution(inputs: int, outputs: int, kernel: int, activation: str) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [nn.BatchNorm2d(inputs), ACTIVATIONS[activation](), convolution]
