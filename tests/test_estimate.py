"""The estimate of H100 times is that of the committed presets, and counts what can be counted by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from impasto.config.presets import Presets
from impasto.data.stream import room
from tiny import ROOT


@pytest.mark.parametrize(
    "name",
    [
        "table2-cifar10-ours",
        "table2-cifar10-augmix-deepaugment",
        "figure2-tiny-imagenet-synthetic",
        pytest.param("", marks=pytest.mark.slow, id="all"),
    ],
)
def test_the_committed_file_is_what_the_presets_give(benchmark: Callable[[str], ModuleType], name: str) -> None:
    committed = json.loads((ROOT / "metrics" / "estimate.json").read_text(encoding="utf-8"))
    found = benchmark("estimate").estimate(*[name] * bool(name))
    wanted = {name: committed["presets"][name]} if name else committed["presets"]
    assert json.loads(json.dumps(found)) == committed | {"presets": wanted}


def test_every_row_and_curve_has_its_estimate() -> None:
    committed = json.loads((ROOT / "metrics" / "estimate.json").read_text(encoding="utf-8"))["presets"]
    rows = Presets(ROOT / "presets").rows
    assert committed.keys() == {name for name, row in rows.items() if row.layers}
    plain, ours = committed["table2-cifar10-augmix"], committed["table4-cifar10-ours-fn"]
    assert committed["table2-cifar10-augmix-deepaugment"]["epoch_s"] > 5 * plain["epoch_s"]
    assert committed["table4-cifar10-ours-jsd"]["training_tflop"] == pytest.approx(3 * ours["training_tflop"], rel=1e-3)
    assert committed["table5-tiny-imagenet-vit-baseline"]["training_tflop"] > 10_000
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert all(re.search(rf"{name}[ ,]", text) for name in committed)


def test_the_papers_network_by_hand() -> None:
    """958.8 million multiplications and additions for each image, three times as many in training."""
    found = json.loads((ROOT / "metrics" / "estimate.json").read_text(encoding="utf-8"))["presets"][
        "table2-cifar10-ours"
    ]
    assert found["training_tflop"] == pytest.approx(3 * 2 * 958.8e6 * 49_500 / 1e12, rel=1e-3)


def test_operations_and_saved_activations_of_a_small_network(benchmark: Callable[[str], ModuleType]) -> None:
    """Two convolutions of 3 x 3 at 8 px; saved are the input, the first result (once for both layers) and the mask."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3, padding=1))
    found = benchmark("counting").training(network.to("meta"), 8)
    assert found.operations == 2 * 64 * 9 * (3 * 4 + 4 * 5)
    assert found.held == 2 * 64 * (3 + 4)


def test_a_mask_of_dropout_is_one_byte_a_number(benchmark: Callable[[str], ModuleType]) -> None:
    """The input of each convolution in half precision; of dropout between them only the mask besides."""
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.Dropout(0.2), nn.Conv2d(4, 5, 3, padding=1)]
    plain, dropped = (
        benchmark("counting").training(nn.Sequential(*some).to("meta").train(), 8).held
        for some in ((layers[0], layers[2]), layers)
    )
    assert plain == 2 * 64 * (3 + 4) and dropped - plain == 64 * 4


def test_tokens_are_counted_and_weights_are_not(benchmark: Callable[[str], ModuleType]) -> None:
    """A linear layer on [batch, pixels, channels] saves its input alone, although it transposes its weights."""
    network = nn.Sequential(nn.Flatten(2), nn.Linear(64, 7), nn.Linear(7, 5))
    found = benchmark("counting").training(network.to("meta"), 8)
    assert found == (2 * 3 * (64 * 7 + 7 * 5), 0.0, 2 * 3 * (64 + 7))


def test_vgg19_by_hand(benchmark: Callable[[str], ModuleType]) -> None:
    """Inputs x outputs of the 3 x 3 convolutions at each side; the decoder mirrors all but the 1 x 1 layer.

    Those behind a doubling have 2 x 2 taps for each of four pixels, on one place more along each side.
    """
    side, sides = 32, {1: 3 * 64 + 64 * 64, 2: 64 * 128 + 128 * 128, 4: 128 * 256 + 3 * 256 * 256, 8: 256 * 512}
    encoder = sum(2 * 9 * pairs * (side // shrunk) ** 2 for shrunk, pairs in sides.items())
    operations = benchmark("counting").stylising(side).operations
    doubled = {(64, side), (128, side // 2), (256, side // 4)}
    saved = sum(2 * width**2 * (9 * wide**2 - 16 * (wide // 2 + 1) ** 2) for width, wide in doubled)
    assert operations == 2 * encoder + 2 * 9 * side**2 - saved


def test_noise2net_by_hand(benchmark: Callable[[str], ModuleType]) -> None:
    """Four blocks: 3 to 64 channels, three of 16 to 16 with kernels of 1 or 9 places, 5 on average, 64 to 3."""
    found = benchmark("counting").distorting(224, 32)
    assert found.operations == 2 * 4 * (2 * 3 * 64 + 3 * 5 * 16 * 16) * 224**2
    numbers = 4 * 224**2 * (64 * 8 + 3 * 16 * 8)  # of each hidden layer at least: written, normalised, cut off
    assert 4 * numbers < found.moved < 1.3 * 4 * numbers


def test_images_stay_where_a_stream_has_room(
    benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is that of the stream: of two alike the second finds less room."""
    module = benchmark("estimate")
    free = int(module.ASSUMED["gigabytes"] * 1e9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    most = room(torch.device("cuda"))
    assert module.resident([most]) == most and module.resident([most + 1]) == 0
    assert module.resident([most, most]) == most and module.resident([most, 0.7 * most]) == 1.7 * most
    pool = 3 * 64**2 * 1e6
    assert 4 << 30 < pool < most, "TinyImageNet's million images stay on the device"


def test_a_million_images_of_tiny_imagenet_are_held() -> None:
    """Beside the originals, and paintings for all of an epoch's images; the figures are held to the code above."""
    committed = json.loads((ROOT / "metrics" / "estimate.json").read_text(encoding="utf-8"))["presets"]
    held = committed["figure2-tiny-imagenet-synthetic"]["memory_images_gb"]
    assert held == pytest.approx(3 * 64**2 * (1e6 + 2 * 99_000) / 1e9, abs=0.01)


def test_time_is_the_longer_of_computing_and_moving(benchmark: Callable[[str], ModuleType]) -> None:
    module = benchmark("estimate")
    assert module._seconds(989e12 * 0.3, 1.0) == pytest.approx(1.0)
    assert module._seconds(1.0, 3.35e12 * 0.3 * 2) == pytest.approx(2.0)
    assert torch.get_default_device().type == "cpu"
