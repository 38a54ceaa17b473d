"""Convolving before the doubling equals doubling, reflecting the border and convolving."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from impasto.rng import generator
from impasto.style.doubling import DoubledConv2d, doubled_early

SOURCE = generator(0, "test-doubling")


def conv(inputs: int = 3, outputs: int = 5) -> nn.Conv2d:
    made = nn.Conv2d(inputs, outputs, 3).double()
    with torch.no_grad():
        made.weight.normal_(generator=SOURCE)
        made.bias.normal_(generator=SOURCE)
    return made


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (2, 3), (7, 5)])
def test_it_equals_the_three_steps(height: int, width: int) -> None:
    layer, features = conv(), torch.randn(2, 3, height, width, generator=SOURCE, dtype=torch.float64)
    wide = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    bordered = torch.cat([wide[:, :, 1:2], wide, wide[:, :, -2:-1]], 2)
    bordered = torch.cat([bordered[..., 1:2], bordered, bordered[..., -2:-1]], 3)
    wanted = functional.conv2d(bordered, layer.weight, layer.bias)
    found = DoubledConv2d(layer)(features)
    torch.testing.assert_close(found, wanted)
    assert found.shape == (2, 5, 2 * height, 2 * width) and found.is_contiguous(memory_format=torch.channels_last)


def test_it_takes_four_ninths_of_the_operations() -> None:
    layer, features = conv(16, 16), torch.zeros(1, 16, 30, 30, dtype=torch.float64)
    counts = []
    for form in (
        nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), layer),
        DoubledConv2d(layer),
    ):
        with FlopCounterMode(display=False) as counted:
            form(features)
        counts.append(counted.get_total_flops())
    assert counts[1] / counts[0] == pytest.approx(4 / 9 * (31 / 30) ** 2)


def test_a_network_keeps_its_other_layers() -> None:
    layers = nn.Sequential(
        conv(3, 4), nn.ReLU(), nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), conv(4, 2), nn.Sigmoid()
    )
    early = doubled_early(layers)
    assert [early[0], early[1], early[3]] == [layers[0], layers[1], layers[5]] and len(early) == 4
    features = torch.randn(1, 3, 6, 8, generator=SOURCE, dtype=torch.float64)
    torch.testing.assert_close(early(features), layers(features))
