"""Aggregated residual networks: the paper's size and cost, and torchvision's function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.resnet import Bottleneck, conv1x1

from impasto.models.resnext import Block, resnext


def network(
    classes: int = 5, depth: int = 11, width: int = 1, stage_stride: int = 1, activation: str = "relu"
) -> nn.Sequential:
    return nn.Sequential(resnext(classes, depth=depth, width=width, stage_stride=stage_stride, activation=activation))


def published(classes: int, stage_stride: int = 1) -> nn.Sequential:
    """ResNeXt-29-32x4d without memory for its weights."""
    with torch.device("meta"):
        return network(classes, depth=29, width=4, stage_stride=stage_stride).eval()


def images(count: int, channels: int, size: int = 8) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(("classes", "parameters"), [(10, 4_774_218), (100, 4_866_468), (200, 4_968_968)])
def test_resnext_29_32x4d_has_the_published_number_of_parameters(classes: int, parameters: int) -> None:
    assert sum(p.numel() for p in published(classes).parameters()) == parameters


@pytest.mark.parametrize(("size", "stage_stride", "cost"), [(32, 1, 0.773e9), (64, 2, 0.798e9)])
def test_resnext_29_32x4d_costs_what_was_counted(size: int, stage_stride: int, cost: float) -> None:
    """The stride lies in a block's grouped convolution: in its first one, 64 px would cost less."""
    with FlopCounterMode(display=False) as counter:
        published(200, stage_stride)(torch.empty(1, 3, size, size, device="meta"))
    assert counter.get_total_flops() / 2 == pytest.approx(cost, rel=1e-3)


@pytest.mark.parametrize(("inputs", "stride"), [(64, 1), (64, 2), (256, 1)])
def test_a_block_is_torchvisions_bottleneck(inputs: int, stride: int) -> None:
    torch.manual_seed(0)
    shortcut = None
    if inputs != 256 or stride != 1:
        shortcut = nn.Sequential(conv1x1(inputs, 256, stride), nn.BatchNorm2d(256))
    theirs = Bottleneck(inputs, 64, stride, shortcut, groups=32, base_width=4)
    ours = Block(inputs, 128, 256, stride, "relu")
    ours.train()(images(8, inputs))  # statistics that differ from 0 and 1
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    torch.testing.assert_close(ours.eval()(images(3, inputs)), theirs.eval()(images(3, inputs)))


def test_the_activation_follows_both_inner_norms_and_the_sum() -> None:
    block = Block(64, 32, 256, 2, "silu").train()
    x = images(4, 64)
    first, norm1, _, second, norm2, _, third, norm3 = block.residual
    silu = nn.functional.silu
    inner = norm3(third(silu(norm2(second(silu(norm1(first(x))))))))
    torch.testing.assert_close(block(x), silu(inner + block.shortcut(x)))
    kinds = {activation: {type(m) for m in network(activation=activation).modules()} for activation in ("relu", "silu")}
    assert nn.ReLU in kinds["relu"] - kinds["silu"] and nn.SiLU in kinds["silu"] - kinds["relu"]


@pytest.mark.parametrize("depth", [11, 20, 29])
def test_a_depth_counts_convolutions_and_the_last_layer(depth: int) -> None:
    """Convolutions of shortcuts are not counted."""
    with torch.device("meta"):
        named = dict(network(depth=depth).named_modules())
    kinds = [type(module) for name, module in named.items() if "shortcut" not in name]
    assert kinds.count(nn.Conv2d) + kinds.count(nn.Linear) == depth


@pytest.mark.parametrize(("stage_stride", "sizes"), [(1, [16, 16, 8, 4]), (2, [16, 8, 4, 2])])
def test_resolution_and_channels_of_each_block(stage_stride: int, sizes: list[int]) -> None:
    model, x, shapes = network(stage_stride=stage_stride), images(1, 3, 16), {}
    for name, part in model.eval().named_children():
        x = part(x)
        shapes[name] = tuple(x.shape[1:])
    channels = {"stem": 64, "stage1": 256, "stage2": 512, "stage3": 1024}
    expected = {name: (c, s, s) for (name, c), s in zip(channels.items(), sizes, strict=True)}
    assert shapes == expected | {"head": (5,)}


def test_every_parameter_receives_a_gradient() -> None:
    model = network()
    model(images(4, 3, 16)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
