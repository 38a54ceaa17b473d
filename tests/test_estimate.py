"""The estimate of H100 times is that of the committed presets, and counts what can be counted by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from tiny import ROOT


@pytest.mark.parametrize(
    "name",
    [
        "table2-cifar10-ours",
        "table5-tiny-imagenet-resnext-baseline",
        pytest.param("", marks=pytest.mark.slow, id="all"),
    ],
)
def test_the_committed_file_is_what_the_presets_give(benchmark: Callable[[str], ModuleType], name: str) -> None:
    committed = json.loads((ROOT / "metrics" / "estimate.json").read_text(encoding="utf-8"))
    found = benchmark("estimate").estimate(*[name] * bool(name))
    wanted = {name: committed["presets"][name]} if name else committed["presets"]
    assert json.loads(json.dumps(found)) == committed | {"presets": wanted}


def test_operations_and_saved_activations_of_a_small_network(benchmark: Callable[[str], ModuleType]) -> None:
    """Two convolutions of 3 x 3 at 8 px; saved are the input, the first result (once for both layers) and the mask."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3, padding=1))
    operations, saved = benchmark("estimate")._forward(network.to("meta"), 8)
    assert operations == 2 * 64 * 9 * (3 * 4 + 4 * 5)
    assert saved == 2 * 64 * (3 + 4)


def test_vgg19_by_hand(benchmark: Callable[[str], ModuleType]) -> None:
    """Inputs x outputs of the 3 x 3 convolutions at each side; the decoder mirrors all but the 1 x 1 layer."""
    side, sides = 32, {1: 3 * 64 + 64 * 64, 2: 64 * 128 + 128 * 128, 4: 128 * 256 + 3 * 256 * 256, 8: 256 * 512}
    encoder = sum(2 * 9 * pairs * (side // shrunk) ** 2 for shrunk, pairs in sides.items())
    operations, _, _ = benchmark("estimate")._stylising(side)
    assert operations == 2 * encoder + 2 * 9 * side**2


def test_time_is_the_longer_of_computing_and_moving(benchmark: Callable[[str], ModuleType]) -> None:
    module = benchmark("estimate")
    assert module._seconds(989e12 * 0.3, 1.0) == pytest.approx(1.0)
    assert module._seconds(1.0, 3.35e12 * 0.3 * 2) == pytest.approx(2.0)
    assert torch.get_default_device().type == "cpu"
