"""The network: its colour frames, its conditions and its start."""

from __future__ import annotations

import pytest
import torch

from impasto.rng import generator
from impasto.synthetic.colour import around, axes_of, turn, turn_back
from impasto.synthetic.fit import build
from impasto.synthetic.unet import detail

CPU = torch.device("cpu")


def test_turning_there_and_back_is_the_identity() -> None:
    images = torch.randn(5, 3, 8, 8, generator=generator(0, "test"))
    axes = axes_of(images)
    torch.testing.assert_close(axes.basis.mT @ axes.basis, torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(turn_back(turn(images, axes), axes, torch.ones(5, 1)), images, atol=1e-5, rtol=0)


def test_a_shape_looks_alike_in_any_two_colours() -> None:
    shape = torch.zeros(16, 16)
    shape[5:9, 4:12] = 1
    front = torch.tensor([[0.9, 0.2, -0.5], [-0.8, 0.1, 0.6]])
    back = torch.tensor([[-0.3, -0.4, 0.1], [0.5, 0.9, -0.2]])
    images = back[:, :, None, None] + (front - back)[:, :, None, None] * shape
    turned = turn(images, axes_of(images))
    contrast = (front - back).norm(dim=1)
    first = turned[:, 0] / contrast[:, None, None]
    torch.testing.assert_close(first[0], first[1], atol=1e-5, rtol=0)
    assert first[0, 6, 6] > 0 > first[0, 0, 0]  # the rarer colour is the positive one
    torch.testing.assert_close(turned[:, 1:], torch.zeros(2, 2, 16, 16), atol=1e-5, rtol=0)


def test_a_grey_and_a_flat_image_have_frames() -> None:
    flat = torch.full((1, 3, 8, 8), 0.25)
    assert torch.isfinite(axes_of(flat).flat()).all()
    torch.testing.assert_close(turn(flat, axes_of(flat)), torch.zeros(1, 3, 8, 8))


def test_around_leaves_out_what_lies_outside() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert around(image, 3)[0, 0, 0, 0] == (0 + 1 + 4 + 5) / 4
    assert around(image, 3)[0, 0, 1, 1] == image[0, 0, :3, :3].mean()


def test_detail_is_in_units_of_the_noise() -> None:
    for sigma in (0.05, 1.0):
        noisy = sigma * torch.randn(4, 3, 32, 32, generator=generator(0, "test"))
        scaled = noisy / (sigma**2 + 0.25) ** 0.5
        fine = detail(scaled, torch.full((4,), sigma).log() / 4)
        assert 0.75 < fine[:, :3].std() < 0.95  # sqrt(8 / 9), less what the limit takes
        assert fine.abs().max() < 3


def test_starts_as_zero_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    network = build(10, 8, 0, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    images = torch.randn(2, 3, 16, 16, generator=generator(0, "test"))
    assert not network(images, torch.zeros(2), torch.tensor([0, 10])).any()


def test_every_weight_and_every_condition_is_used() -> None:
    network = build(3, 8, 0, CPU)
    torch.nn.init.normal_(network.head.weight, std=0.1, generator=generator(0, "head"))
    for layer in (network.context, network.gate, network.mean_gate):
        torch.nn.init.normal_(layer.weight, std=0.1, generator=generator(0, "gate"))
    for block in network.modules():
        if hasattr(block, "second"):
            torch.nn.init.normal_(block.second.weight, std=0.1, generator=generator(0, "block"))
    images = torch.randn(4, 3, 24, 16, generator=generator(0, "test"))
    noise, label = torch.tensor([-1.0, 0.0, 0.5, 1.0]), torch.tensor([0, 1, 2, 3])
    out = network(images, noise, label)
    out.square().sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []
    assert not torch.allclose(network(images, noise, label.flip(0)), out)
    assert not torch.allclose(network(images, noise + 0.3, label), out)
    alone = torch.cat([network(*(part[i : i + 1] for part in (images, noise, label))) for i in range(4)])
    torch.testing.assert_close(alone, out, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("width", "low", "high"), [(32, 600_000, 1_000_000)])
def test_size(width: int, low: int, high: int) -> None:
    assert low < sum(weight.numel() for weight in build(10, width, 0, CPU).parameters()) < high
