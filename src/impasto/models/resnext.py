"""Aggregated residual networks (Xie et al. 2017) for images of 32 or 64 px, as in Siedel et al. 2025.

That form differs from the original in two ways: the stem is a 1x1 convolution, and weights start as
PyTorch draws them. ResNeXt-29-32x4d (depth 29, width 4) has 4,774,218 parameters for 10 classes.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from impasto.models.layers import ACTIVATIONS, pooled
from impasto.models.registry import register

_CARDINALITY = 32  # groups of a block's middle convolution
_STEM, _STAGE = 64, 256  # channels that leave the stem and the first stage; each later stage has twice as many


class Block(nn.Module):
    """A residual block with a bottleneck: 1x1, grouped 3x3 and 1x1 convolution, each with its norm.

    Args:
        inputs: channels of the input.
        inner: channels of the grouped convolution.
        outputs: channels of the output.
        stride: 1, or 2 to halve the resolution.
        activation: a key of :data:`ACTIVATIONS`.
    """

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, activation: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution_norm(inputs, inner, 1),
            ACTIVATIONS[activation](),
            *_convolution_norm(inner, inner, 3, stride, _CARDINALITY),
            ACTIVATIONS[activation](),
            *_convolution_norm(inner, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution_norm(inputs, outputs, 1, stride))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        out: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return out


@register("resnext")
def resnext(classes: int, *, depth: int, width: int, stage_stride: int, activation: str) -> OrderedDict[str, nn.Module]:
    """The blocks ``stem``, ``stage1`` to ``stage3`` and ``head`` of a ResNeXt-depth-32x(width)d.

    Args:
        classes: number of logits.
        depth: layers, 9 n + 2 for n residual blocks in each stage.
        width: channels of each of the 32 groups in the first stage; each later stage has twice as many.
        stage_stride: 1, or 2 to halve the resolution in the first stage, as the paper's code does at 64 px.
        activation: a key of :data:`ACTIVATIONS`.

    Returns:
        Modules to run one after the other on normalised images (N, 3, H, W).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(*_convolution_norm(3, _STEM, 1), ACTIVATIONS[activation]())
    inputs = _STEM
    for stage, stride in enumerate((stage_stride, 2, 2)):
        inner, outputs = _CARDINALITY * width * 2**stage, _STAGE * 2**stage
        rest = (Block(outputs, inner, outputs, 1, activation) for _ in range((depth - 2) // 9 - 1))
        parts[f"stage{stage + 1}"] = nn.Sequential(Block(inputs, inner, outputs, stride, activation), *rest)
        inputs = outputs
    parts["head"] = nn.Sequential(*pooled(inputs, classes))
    return parts


def _convolution_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
