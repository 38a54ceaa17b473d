"""Wide residual networks (Zagoruyko and Komodakis 2016) in the form of Siedel et al. 2025.

That form differs from the original in five ways: every convolution has a bias, the second convolution
of a block carries the stride, the shortcut starts from the block's raw input, the activation may be
SiLU, and weights start as PyTorch draws them. WRN-28-4 has 5,853,098 parameters for 10 classes.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from impasto.config.model import Model
from impasto.models.registry import register

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}
_STEM = 16  # channels of the stem; the stages have 1, 2 and 4 times so many, times the width


class Block(nn.Module):
    """A pre-activation residual block: (norm, activation, convolution) twice, with dropout in between.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 1, or 2 to halve the resolution.
        config: gives the dropout probability and the activation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, config: Model) -> None:
        super().__init__()
        activation = _ACTIVATIONS[config.activation]
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            activation(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.Dropout(config.dropout),
            nn.BatchNorm2d(outputs),
            activation(),
            nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        out: Tensor = self.residual(x) + self.shortcut(x)
        return out


@register("wrn")
def wide_resnet(config: Model, classes: int) -> OrderedDict[str, nn.Module]:
    """The blocks ``stem``, ``stage1`` to ``stage3`` and ``head`` of a WRN-depth-width.

    Args:
        config: the architecture.
        classes: number of logits.

    Returns:
        Modules to run one after the other on normalised images (N, 3, H, W).
    """
    channels = [_STEM, *(_STEM * 2**stage * config.width for stage in range(3))]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Conv2d(3, _STEM, 3, stride=config.stem_stride, padding=1)
    for stage, stride in enumerate((1, 2, 2), start=1):
        parts[f"stage{stage}"] = _stage(channels[stage - 1], channels[stage], stride, config)
    parts["head"] = _head(channels[-1], classes, config)
    return parts


def _stage(inputs: int, outputs: int, stride: int, config: Model) -> nn.Sequential:
    rest = (config.depth - 4) // 6 - 1
    return nn.Sequential(
        Block(inputs, outputs, stride, config), *(Block(outputs, outputs, 1, config) for _ in range(rest))
    )


def _head(inputs: int, classes: int, config: Model) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        _ACTIVATIONS[config.activation](),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, classes),
    )
