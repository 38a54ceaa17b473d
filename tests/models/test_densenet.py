"""Densely connected networks: the paper's size and cost, and torchvision's function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import DenseNet

from impasto.models.densenet import LAYERS, Layer, densenet


def network(
    classes: int = 5, depth: int = 121, width: int = 2, stem_stride: int = 1, activation: str = "relu"
) -> nn.Sequential:
    return nn.Sequential(densenet(classes, depth=depth, width=width, stem_stride=stem_stride, activation=activation))


def published(classes: int, stem_stride: int = 1) -> nn.Sequential:
    """DenseNet-201-12 without memory for its weights."""
    with torch.device("meta"):
        return network(classes, depth=201, width=12, stem_stride=stem_stride).eval()


def images(count: int = 4, size: int = 16) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(("classes", "parameters"), [(10, 2_604_490), (100, 2_669_380), (200, 2_741_480)])
def test_densenet_201_12_has_the_published_number_of_parameters(classes: int, parameters: int) -> None:
    assert sum(p.numel() for p in published(classes).parameters()) == parameters


@pytest.mark.parametrize(("size", "stem_stride"), [(32, 1), (64, 2)])
def test_densenet_201_12_costs_what_was_counted_for_the_published_network(size: int, stem_stride: int) -> None:
    with FlopCounterMode(display=False) as counter:
        published(200, stem_stride)(torch.empty(1, 3, size, size, device="meta"))
    assert counter.get_total_flops() / 2 == pytest.approx(0.192e9, abs=0.0005e9)


def test_it_is_torchvisions_network_behind_another_stem() -> None:
    """Torchvision's parameters come in the same order once its stem's norm is left out."""
    torch.manual_seed(0)
    ours, theirs = network(), DenseNet(2, (6, 12, 24, 16), num_init_features=4, num_classes=5)
    theirs.features.conv0 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    theirs.features.norm0 = theirs.features.relu0 = theirs.features.pool0 = nn.Identity()  # type: ignore[assignment]
    ours.train()(images(8))  # statistics that differ from 0 and 1
    values = list(ours.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))
    torch.testing.assert_close(ours.eval()(images()), theirs.eval()(images()))


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_layer_equals_the_formula(activation: str) -> None:
    layer, x = Layer(6, 3, activation).train(), images(4, 8).repeat(1, 2, 1, 1)
    _, _, first, _, _, second = layer.new

    def norm_act(value: Tensor) -> Tensor:
        spread, mean = torch.var_mean(value, (0, 2, 3), correction=0, keepdim=True)
        value = (value - mean) / (spread + 1e-5).sqrt()
        return value.clamp(min=0) if activation == "relu" else value * torch.sigmoid(value)

    inner = torch.einsum("oi,nihw->nohw", first.weight[:, :, 0, 0], norm_act(x))
    expected = torch.cat((x, nn.functional.conv2d(norm_act(inner), second.weight, padding=1)), 1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", LAYERS)
def test_a_depth_counts_convolutions_and_the_last_layer(depth: int) -> None:
    with torch.device("meta"):
        kinds = [type(module) for module in network(depth=depth).modules()]
    assert kinds.count(nn.Conv2d) + kinds.count(nn.Linear) == depth


@pytest.mark.parametrize(("stem_stride", "sizes"), [(1, [32, 16, 8, 4, 4]), (2, [16, 8, 4, 2, 2])])
def test_resolution_and_channels_of_each_block(stem_stride: int, sizes: list[int]) -> None:
    model, x, shapes = network(width=12, stem_stride=stem_stride), images(1, 32), {}
    for name, part in model.eval().named_children():
        x = part(x)
        shapes[name] = tuple(x.shape[1:])
    channels = {"stem": 24, "stage1": 48, "stage2": 96, "stage3": 192, "stage4": 384}
    expected = {name: (c, s, s) for (name, c), s in zip(channels.items(), sizes, strict=True)}
    assert shapes == expected | {"head": (5,)}


def test_the_activation_is_used_everywhere() -> None:
    kinds = {activation: {type(m) for m in network(activation=activation).modules()} for activation in ("relu", "silu")}
    assert nn.ReLU in kinds["relu"] - kinds["silu"] and nn.SiLU in kinds["silu"] - kinds["relu"]


def test_every_parameter_receives_a_gradient() -> None:
    model = network(width=4)
    model(images(4, 32)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
