"""Noise2Net against the same network built of torch's modules, image by image."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from impasto.augment import deepaugment
from impasto.augment.deepaugment import Layer, Noise2Net, Noise2NetDraws
from impasto.models.normalise import Normalise
from impasto.rng import generator

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), torch.tensor([0.2, 0.25, 0.3]).view(1, 3, 1, 1)
NET = deepaugment.draw_network(generator(0, "noise2net"), size=24)
INNER = [layer for block in NET.blocks for layer in block]


def images(n: int = 10, size: int = 8) -> Tensor:
    return torch.rand(n, 3, size, size, generator=generator(1, "images"))


def transformed(pictures: Tensor, draws: Noise2NetDraws, net: Noise2Net = NET) -> Tensor:
    return net.apply(pictures, draws, MEAN, STD)


class Block(nn.Module):
    """A Res2Net block for one image, with the biases that ours leaves out."""

    def __init__(self, layers: tuple[Layer, ...], numbers: Tensor) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 64, 1), nn.Conv2d(64, 3, 1)
        self.inner = nn.ModuleList(
            nn.Conv2d(16, 16, k, padding=d * (k - 1) // 2, dilation=d) for k, d in layers
        )  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (64, 16, 16, 16, 3))
        for convolution in (self.first, *self.inner, self.last):
            count = convolution.weight.numel()
            bound = (convolution.in_channels * convolution.kernel_size[0] ** 2) ** -0.5
            convolution.weight.data = bound * numbers[:count].view(convolution.weight.shape)
            numbers = numbers[count:]
        assert not len(numbers)

    def forward(self, image: Tensor) -> Tensor:
        a, b, c, d = functional.relu(self.norms[0](self.first(image))).split(16, dim=1)
        a = functional.relu(self.norms[1](self.inner[0](a)))
        b = functional.relu(self.norms[2](self.inner[1](a + b)))
        c = functional.relu(self.norms[3](self.inner[2](b + c)))
        return self.norms[4](self.last(torch.cat([a, b, c, d], dim=1)))


def by_modules(image: Tensor, numbers: Tensor, epsilon: float, net: Noise2Net = NET) -> Tensor:
    """One normalised image [1, 3, H, W]."""
    large = functional.interpolate(image, (net.size, net.size), mode="bilinear")
    for layers in net.blocks:
        count = sum(256 * kernel**2 for kernel, _ in layers) + 2 * 192
        block, numbers = Block(layers, numbers[:count]).train(), numbers[count:]
        large = large + epsilon * block(large)
    assert not len(numbers)
    return functional.interpolate(large, image.shape[2:], mode="bilinear")


def test_the_network_equals_one_of_modules() -> None:
    pictures, draws = images(), NET.draw(10, generator(2, "draws"))
    torch.manual_seed(0)  # the modules' biases
    normalise, found = Normalise(MEAN.flatten().tolist(), STD.flatten().tolist()), transformed(images(), draws)
    with torch.no_grad():
        for index, numbers in zip(draws.chosen.tolist(), draws.weights, strict=True):
            wanted = by_modules(normalise(pictures[index : index + 1]), numbers, float(draws.epsilon))
            torch.testing.assert_close(normalise(found[index : index + 1]), wanted, rtol=1e-3, atol=1e-4)
            assert (wanted - normalise(pictures[index : index + 1])).abs().max() > 0.5


@pytest.mark.parametrize(("size", "working"), [(8, 24), (16, 16), (32, 224)])
def test_nothing_happens_with_epsilon_zero(size: int, working: int) -> None:
    net = Noise2Net(NET.blocks, working)
    draws = net.draw(2, generator(3, "draws"), epsilon=(0.0, 0.0))
    torch.testing.assert_close(transformed(images(2, size), draws, net), images(2, size), rtol=0, atol=1e-5)


def test_the_others_stay_as_they_are() -> None:
    draws, pictures = NET.draw(10, generator(4, "draws")), images()
    found = transformed(pictures, draws)
    changed = (found != pictures).flatten(1).any(1)
    assert changed.nonzero()[:, 0].tolist() == sorted(draws.chosen.tolist()) and len(draws.chosen) == 5
    assert torch.equal(pictures, images())


def test_images_are_independent_of_each_other() -> None:
    draws, pictures = NET.draw(10, generator(5, "draws")), images()
    before, other = transformed(pictures, draws), int(draws.chosen[2])
    pictures[other] = 1 - pictures[other]
    same = torch.arange(10) != other
    after = transformed(pictures, draws)
    assert torch.equal(after[same], before[same]) and not torch.equal(after[other], before[other])


def test_each_image_has_a_network_of_its_own() -> None:
    equal = images(1).expand(10, -1, -1, -1)
    draws = NET.draw(10, generator(6, "draws"), share=1.0)
    found = transformed(equal, draws)
    assert len(found.flatten(1).unique(dim=0)) == 10


def test_how_many_go_through_at_once_matters_to_the_last_bits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = NET.draw(10, generator(7, "draws"))
    whole = transformed(images(), draws)
    monkeypatch.setattr(deepaugment, "_PIXELS", 2 * 24**2)
    torch.testing.assert_close(transformed(images(), draws), whole, rtol=0, atol=1e-4)


def test_a_single_image_and_channels_last() -> None:
    draws = NET.draw(1, generator(8, "draws"))
    assert len(draws.chosen) == 0 and torch.equal(transformed(images(1), draws), images(1))
    draws, last = NET.draw(10, generator(8, "draws")), images().contiguous(memory_format=torch.channels_last)
    found = transformed(last, draws)
    assert torch.equal(found, transformed(images(), draws)) and found.is_contiguous(memory_format=torch.channels_last)


def test_draws_are_uniform_and_replay() -> None:
    draws = [NET.draw(10, generator(9, "draws", step)) for step in range(300)]
    counts = torch.cat([each.chosen for each in draws]).bincount(minlength=10)
    assert all(len(each.chosen.unique()) == 5 for each in draws)
    # Drawn without replacement, counts vary less than a chi-square asks: by the factor (1 - 5 / 10) / (1 - 1 / 10).
    statistic = ((counts - 150.0) ** 2 / 150).sum() / (0.5 / 0.9)
    assert 0.001 < stats.chi2(9).sf(float(statistic)) < 0.999
    epsilons = torch.stack([each.epsilon for each in draws])
    assert stats.kstest(epsilons.numpy(), stats.uniform(0.375, 0.375).cdf).pvalue > 0.001
    assert stats.kstest(draws[0].weights[:, :2000].flatten().numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.001
    again = NET.draw(10, generator(9, "draws", 1))
    assert all(map(torch.equal, again, draws[1])) and not torch.equal(draws[0].weights, draws[1].weights)
    assert torch.equal(transformed(images(), again), transformed(images(), draws[1]))


def test_shapes_of_networks_are_uniform() -> None:
    nets = [deepaugment.draw_network(generator(10, "noise2net", i)) for i in range(150)]
    assert {len(net.blocks) for net in nets} == {4} and {len(block) for net in nets for block in net.blocks} == {3}
    cells = torch.tensor([(k // 2) * 3 + d - 1 for net in nets for block in net.blocks for k, d in block])
    assert stats.chisquare(cells.bincount(minlength=6).numpy()).pvalue > 0.001
    assert nets[0].size == 224 and len({net.blocks for net in nets}) == 150


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_nearly_the_same() -> None:
    draws, pictures = NET.draw(10, generator(11, "draws")), images()
    found = NET.apply(pictures.cuda(), draws, MEAN.cuda(), STD.cuda()).cpu()
    torch.testing.assert_close(found, transformed(pictures, draws), rtol=0, atol=0.02)  # TF32
