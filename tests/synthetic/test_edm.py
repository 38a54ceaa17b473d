"""The diffusion model against the paper's formulas and against a Gaussian, whose denoiser is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.rng import generator
from impasto.synthetic import edm


def toy(image: Tensor, noise: Tensor, label: Tensor) -> Tensor:
    """A network that depends on all of its inputs."""
    return torch.sin(3 * image) + noise[:, None, None, None] * label[:, None, None, None]


def toy_numpy(image: np.ndarray, noise: np.ndarray, label: np.ndarray) -> np.ndarray:
    return np.sin(3 * image) + (noise * label)[:, None, None, None]


def test_loss_is_the_papers_formula() -> None:
    source = generator(0, "test")
    image, label = torch.rand(6, 3, 4, 4, generator=source) * 2 - 1, torch.tensor([0, 1, 2, 0, 1, 2])
    draws = edm.draw((6, 3, 4, 4), 0.5, source)
    assert 0 < draws.dropped.sum() < 6

    x, sigma = image.double().numpy(), draws.sigma.double().numpy()
    s = sigma[:, None, None, None]
    given = np.where(draws.dropped.numpy(), 9, label.numpy())
    noisy = x + s * draws.noise.double().numpy()
    inner = toy_numpy(noisy / np.sqrt(s**2 + 0.25), np.log(sigma) / 4, given)
    denoised = 0.25 / (s**2 + 0.25) * noisy + s * 0.5 / np.sqrt(0.25 + s**2) * inner
    weight = (s**2 + 0.25) / (s * 0.5) ** 2
    expected = (weight * (denoised - x) ** 2).mean()

    assert edm.loss(toy, image, label, 9, draws).item() == pytest.approx(expected, rel=1e-5)


def test_preconditioning_keeps_unit_variance_and_has_its_limits() -> None:
    sigma = torch.tensor([1e-4, 0.5, 1e4])
    scale = edm.scales(sigma)
    total = sigma.square() + 0.25
    torch.testing.assert_close(scale.input.flatten().square() * total, torch.ones(3))
    # The target (x - skip noisy) / out has variance 1: signal left over and noise let through, over out^2.
    left = (1 - scale.skip.flatten()).square() * 0.25 + (scale.skip.flatten() * sigma).square()
    torch.testing.assert_close(left / scale.out.flatten().square(), torch.ones(3), rtol=2e-3, atol=0)
    assert scale.skip[0] == pytest.approx(1, abs=1e-6) and scale.out[0] == pytest.approx(1e-4, rel=1e-4)
    assert scale.skip[2] == pytest.approx(0, abs=1e-6) and scale.out[2] == pytest.approx(0.5, rel=1e-4)


def test_draws_follow_their_distributions() -> None:
    draws = edm.draw((20_000, 3, 1, 1), 0.1, generator(0, "test"))
    logs = draws.sigma.log()
    assert logs.mean() == pytest.approx(edm.LOG_MEAN, abs=0.03)
    assert logs.std() == pytest.approx(edm.LOG_STD, abs=0.03)
    assert draws.dropped.float().mean() == pytest.approx(0.1, abs=0.01)


def test_schedule_is_the_papers() -> None:
    i = np.arange(7)
    low, high = edm.SIGMA_MIN ** (1 / 7), edm.SIGMA_MAX ** (1 / 7)
    expected = (high + i / 6 * (low - high)) ** 7
    np.testing.assert_allclose(edm.schedule(7)[:-1].numpy(), expected, rtol=1e-6)
    assert edm.schedule(7)[-1] == 0


def test_sampling_a_gaussian_gives_its_mean_and_deviation() -> None:
    mean, std = 0.3, 0.4

    def optimal(noisy: Tensor, sigma: Tensor) -> Tensor:
        s = sigma[:, None, None, None].square()
        return (std**2 * noisy + s * mean) / (std**2 + s)

    noise = torch.randn(4000, 3, 2, 2, generator=generator(0, "test"))
    images = edm.heun(optimal, noise, edm.schedule(64))
    assert images.mean() == pytest.approx(mean, abs=0.01)
    assert images.std() == pytest.approx(std, rel=0.01)
    # The equation is linear here, so the image is an affine function of the noise, of known slope.
    slope = std * edm.SIGMA_MAX / np.sqrt(std**2 + edm.SIGMA_MAX**2)
    torch.testing.assert_close(images, mean + noise * slope - mean * std / edm.SIGMA_MAX, rtol=0, atol=0.02)


def test_heun_is_of_second_order() -> None:
    def optimal(noisy: Tensor, sigma: Tensor) -> Tensor:
        return noisy / (1 + sigma[:, None, None, None].square())

    noise = torch.ones(1, 3, 1, 1)
    exact = edm.SIGMA_MAX / np.sqrt(1 + edm.SIGMA_MAX**2)
    errors = [abs(edm.heun(optimal, noise, edm.schedule(n)).mean().item() - exact) for n in (16, 32)]
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(("sigma", "acts"), [(0.1, 0.0), (1.0, 1.0), (10.0, 1.0), (40.0, 0.0)])
def test_guidance(sigma: float, acts: float) -> None:
    noisy, level = torch.randn(3, 3, 4, 4, generator=generator(0, "test")), torch.full((3,), sigma)
    label = torch.tensor([0, 1, 2])
    clean = edm.denoise(toy, noisy, level, label)
    plain = edm.denoise(toy, noisy, level, torch.full((3,), 9))
    assert torch.equal(edm.guided(toy, label, 9, 0.0)(noisy, level), clean)
    torch.testing.assert_close(edm.guided(toy, label, 9, 1.5)(noisy, level), clean + acts * 1.5 * (clean - plain))
