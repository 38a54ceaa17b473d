"""Wide ResNets, their normalisation and the registry that builds them."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from impasto.config.model import Model
from impasto.models.normalise import Normalise
from impasto.models.registry import build
from impasto.models.wrn import Block
from tiny import architecture

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)


def config(**changes: object) -> Model:
    return architecture("wrn", **({"dropout": 0.2, "activation": "silu"} | changes))


def network(classes: int = 10, seed: int = 0, **changes: object) -> nn.Sequential:
    return build(config(**changes), classes, MEAN, STD, seed)


def images(count: int = 4, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(("classes", "parameters"), [(10, 5_853_098), (100, 5_876_228), (200, 5_901_928)])
def test_wrn_28_4_has_the_published_number_of_parameters(classes: int, parameters: int) -> None:
    with torch.device("meta"):
        model = network(classes, depth=28, width=4, stem_stride=1)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(("depth", "width"), [(10, 1), (16, 2), (22, 3)])
def test_parameters_agree_with_a_closed_form(depth: int, width: int) -> None:
    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return outputs * (inputs * kernel**2 + 1)

    total, inputs = convolution(3, 16, 3), 16
    for outputs in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            total += 2 * inputs + 2 * outputs + convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3)
            total += convolution(inputs, outputs, 1) if inputs != outputs else 0
            inputs = outputs
    total += 2 * inputs + 10 * (inputs + 1)
    assert sum(p.numel() for p in network(depth=depth, width=width).parameters()) == total


@pytest.mark.parametrize(("size", "stage_stride", "cost"), [(32, 1, 0.959e9), (64, 2, 0.989e9)])
def test_wrn_28_4_costs_what_was_counted_for_the_published_network(size: int, stage_stride: int, cost: float) -> None:
    """The stride lies in a block's second convolution: in the first, it would be 0.85 instead of 0.96 GMAC."""
    with torch.device("meta"):
        model = network(200, depth=28, width=4, stem_stride=1, stage_stride=stage_stride).eval()
        image = torch.empty(1, 3, size, size)
        with FlopCounterMode(display=False) as counter:
            model(image)
    assert counter.get_total_flops() / 2 == pytest.approx(cost, rel=1e-3)


def test_the_network_of_the_default_stays_the_same() -> None:
    """Names and first weights as of the first release, whatever is added: saved models and results depend on them."""
    state = network(depth=16, stage_stride=1, dropout=0.0, activation="relu", seed=0).state_dict()
    names = "\n".join(state)
    assert len(state) == 99 and hashlib.sha256(names.encode()).hexdigest().startswith("8f8fce98c9e88313")
    for name, first in {
        "stem.weight": [-0.1782, -0.1250, 0.1157], "stage3.1.residual.6.weight": [-0.0363, -0.0290, 0.0004],
        "head.4.bias": [-0.0643, -0.1139, -0.0303],
    }.items():  # fmt: skip
        torch.testing.assert_close(state[name].flatten()[:3], torch.tensor(first), atol=6e-5, rtol=0)


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_the_momentum_of_the_last_norm_is_a_choice(momentum: float) -> None:
    norms = [m for m in network(head_momentum=momentum).modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [0.1] * (len(norms) - 1) + [momentum]


@pytest.mark.parametrize(
    ("stem_stride", "stage_stride", "sizes"), [(1, 1, [32, 32, 16, 8]), (2, 1, [16, 16, 8, 4]), (1, 2, [32, 16, 8, 4])]
)
def test_resolution_and_channels_of_each_block(stem_stride: int, stage_stride: int, sizes: list[int]) -> None:
    model, x, shapes = network(stem_stride=stem_stride, stage_stride=stage_stride, width=2), images(2), []
    for part in model.children():
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[1:-1] == [(c, s, s) for c, s in zip((16, 32, 64, 128), sizes, strict=True)]
    assert shapes[-1] == (10,)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 16, 2), (8, 16, 1), (8, 8, 2)])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_block_equals_the_formula(inputs: int, outputs: int, stride: int, activation: str) -> None:
    block = Block(inputs, outputs, stride, 0.2, activation).eval()
    p = dict(block.named_parameters())
    x = torch.randn(3, inputs, 9, 9, generator=torch.Generator().manual_seed(1))

    def norm_act(value: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        value = value / (1 + 1e-5) ** 0.5 * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        return value.clamp(min=0) if activation == "relu" else value * torch.sigmoid(value)

    out = norm_act(x, p["residual.0.weight"], p["residual.0.bias"])
    out = functional.conv2d(out, p["residual.2.weight"], p["residual.2.bias"], padding=1)
    out = norm_act(out, p["residual.4.weight"], p["residual.4.bias"])
    out = functional.conv2d(out, p["residual.6.weight"], p["residual.6.bias"], stride=stride, padding=1)
    shortcut = x
    if inputs != outputs or stride != 1:
        shortcut = torch.einsum("oi,nihw->nohw", p["shortcut.weight"][:, :, 0, 0], x[..., ::stride, ::stride])
        shortcut = shortcut + p["shortcut.bias"].view(-1, 1, 1)
    torch.testing.assert_close(block(x), out + shortcut, atol=1e-5, rtol=1e-4)


def test_dropout_lies_between_the_first_convolution_and_the_second_norm() -> None:
    kinds = [type(layer) for layer in Block(8, 8, 1, 0.2, "silu").residual]
    assert kinds == [nn.BatchNorm2d, nn.SiLU, nn.Conv2d, nn.Dropout, nn.BatchNorm2d, nn.SiLU, nn.Conv2d]


def test_dropout_is_active_in_training_only() -> None:
    model, x = network(dropout=0.5), images()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False  # the same batch statistics at every pass: only dropout can differ
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
    steady = network(dropout=0.0).train()
    assert torch.equal(steady(x), steady(x))


def test_logits_of_an_image_do_not_depend_on_its_batch() -> None:
    model, x = network().eval(), images(5)
    alone = torch.cat([model(x[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(model(x), alone, atol=1e-5, rtol=1e-4)


def test_normalise_equals_the_formula_and_sits_inside_the_model() -> None:
    x = images(2)
    expected = torch.stack([(x[:, c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    torch.testing.assert_close(Normalise(MEAN, STD)(x), expected)
    model = network().eval()
    torch.testing.assert_close(model(x), model[1:](expected))
    assert {"normalise.mean", "normalise.std"} <= set(model.state_dict())


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.1, 0.1)), ((0.5,), (0.0,)), ((0.5,), (float("nan"),))])
def test_normalise_rejects_statistics_that_cannot_be(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="std"):
        Normalise(mean, std)


def test_initial_weights_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = network(seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = network(seed=7).state_dict(), network(seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_every_parameter_receives_a_gradient() -> None:
    model = network(stem_stride=1)
    model(images()).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
