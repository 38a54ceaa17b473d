"""A convolution behind a nearest-neighbour doubling, computed before the doubling: four ninths of the operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_TAPS = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
"""For even and odd pixels of a side, which of the kernel's three taps fall on the earlier and on the later of the two
pixels that they see."""


class DoubledConv2d(nn.Module):
    """Doubling by the nearest neighbour, a border of one reflected pixel, and a 3 x 3 convolution, as one step.

    Each of the four pixels that a doubled pixel becomes sees 2 x 2 different ones alone, by sums of the kernel's taps:
    four kernels of 4 taps in place of one of 9 on four times the pixels. The reflected border of a doubled picture is
    the repeated border of the picture before.

    Args:
        conv: 3 x 3, stride 1, without a border of its own. Its weights are read once.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS, dtype=conv.weight.dtype, device=conv.weight.device)
        kernels = torch.einsum("pay,qbx,oiyx->pqoiab", taps, taps, conv.weight.detach()).flatten(0, 2)
        assert conv.bias is not None
        self.kernels: Tensor
        self.bias: Tensor
        self.register_buffer("kernels", kernels.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", conv.bias.detach().repeat(4), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Float [B, O, 2h, 2w], channels last, of [B, I, h, w]; up to rounding what the three steps give."""
        height, width = features.shape[2:]
        bordered = functional.pad(features, (1, 1, 1, 1), mode="replicate")
        phases = functional.conv2d(bordered, self.kernels, self.bias).unflatten(1, (2, 2, -1))
        doubled: Tensor = phases.new_empty(len(features), 2 * height, 2 * width, phases.shape[3]).movedim(-1, 1)
        for row in (0, 1):
            for column in (0, 1):
                place = phases[:, row, column, :, row : row + height, column : column + width]
                doubled[:, :, row::2, column::2] = place
        return doubled


def doubled_early(layers: nn.Sequential) -> nn.Sequential:
    """The same network with :class:`DoubledConv2d` for each (``Upsample``, ``ReflectionPad2d``, ``Conv2d``)."""
    found: list[nn.Module] = []
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        if isinstance(layer, nn.Upsample):
            _, conv = waiting.pop(0), waiting.pop(0)
            assert isinstance(conv, nn.Conv2d)
            layer = DoubledConv2d(conv)
        found.append(layer)
    return nn.Sequential(*found)
