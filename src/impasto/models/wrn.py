"""Wide residual networks (Zagoruyko and Komodakis 2016) in the form of Siedel et al. 2025.

That form differs from the original in five ways: every convolution has a bias, the second convolution
of a block carries the stride, the shortcut starts from the block's raw input, the activation may be
SiLU, and weights start as PyTorch draws them. WRN-28-4 has 5,853,098 parameters for 10 classes.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from impasto.models.layers import ACTIVATIONS, pooled
from impasto.models.registry import register

_STEM = 16  # channels of the stem; the stages have 1, 2 and 4 times so many, times the width


class Block(nn.Module):
    """A pre-activation residual block: (norm, activation, convolution) twice, with dropout in between.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 1, or 2 to halve the resolution.
        dropout: share of activations that training drops between the convolutions.
        activation: a key of :data:`ACTIVATIONS`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            ACTIVATIONS[activation](),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.Dropout(dropout),
            nn.BatchNorm2d(outputs),
            ACTIVATIONS[activation](),
            nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up."""
        out: Tensor = self.residual(x) + self.shortcut(x)
        return out


@register("wrn")
def wide_resnet(
    classes: int,
    *,
    depth: int,
    width: int,
    stem_stride: int,
    stage_stride: int,
    dropout: float,
    activation: str,
    head_momentum: float,
) -> OrderedDict[str, nn.Module]:
    """The blocks ``stem``, ``stage1`` to ``stage3`` and ``head`` of a WRN-depth-width.

    Args:
        classes: number of logits.
        depth: layers, 6 n + 4 for n residual blocks in each stage.
        width: factor of the stages' channels.
        stem_stride: 1, or 2 to halve the resolution in the first layer.
        stage_stride: 1, or 2 to halve the resolution in the first stage, as the paper's code does at 64 px.
        dropout: see :class:`Block`.
        activation: a key of :data:`ACTIVATIONS`.
        head_momentum: weight of the last batch in the running statistics of the head's batch norm, 0.1 in all
            others. The paper's code has 0.9; statistics that are refreshed after training do not depend on it.

    Returns:
        Modules to run one after the other on normalised images (N, 3, H, W).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Conv2d(3, _STEM, 3, stride=stem_stride, padding=1)
    inputs = _STEM
    for stage, stride in enumerate((stage_stride, 2, 2)):
        outputs = _STEM * 2**stage * width
        rest = (Block(outputs, outputs, 1, dropout, activation) for _ in range((depth - 4) // 6 - 1))
        parts[f"stage{stage + 1}"] = nn.Sequential(Block(inputs, outputs, stride, dropout, activation), *rest)
        inputs = outputs
    norm = nn.BatchNorm2d(inputs, momentum=head_momentum)
    parts["head"] = nn.Sequential(norm, ACTIVATIONS[activation](), *pooled(inputs, classes))
    return parts
