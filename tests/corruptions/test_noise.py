"""Noise against its formulas with injected draws, and against its distribution with its own."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from impasto.corruptions import noise
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.tables import TABLES

F64, F32 = torch.float64, torch.float32


def settings(name: str) -> list[float]:
    return sorted({parameters[0] for table in TABLES.values() for parameters in table[name]})


def floor_to_bytes(values: np.ndarray) -> np.ndarray:
    return np.uint8(np.clip(values, 0, 1) * 255)


def normals(images: Tensor) -> Tensor:
    return torch.randn(images.shape, generator=torch.Generator().manual_seed(3), dtype=F64)


@pytest.mark.parametrize("std", settings("gaussian_noise"))
def test_gaussian_noise_is_its_formula(images: Tensor, std: float) -> None:
    draws = normals(images)
    expected = floor_to_bytes(images.numpy() / 255.0 + draws.numpy() * std)
    assert np.array_equal(noise.gaussian_noise(images, draws, std, dtype=F64).numpy(), expected)


@pytest.mark.parametrize("std", settings("speckle_noise"))
def test_speckle_noise_is_its_formula(images: Tensor, std: float) -> None:
    draws = normals(images)
    x = images.numpy() / 255.0
    expected = floor_to_bytes(x + x * (draws.numpy() * std))
    assert np.array_equal(noise.speckle_noise(images, draws, std, dtype=F64).numpy(), expected)


def test_float32_moves_few_values_by_one_level(images: Tensor) -> None:
    draws = normals(images).float()
    for operation in (noise.gaussian_noise, noise.speckle_noise):
        single, double = (operation(images, draws, 0.1, dtype=each).int() for each in (F32, F64))
        assert (single - double).abs().max() <= 1
        assert (single != double).double().mean() < 1e-3


@pytest.mark.parametrize("probability", settings("impulse_noise"))
def test_impulse_noise_sets_salt_and_pepper(images: Tensor, probability: float) -> None:
    draws = torch.rand(images.shape, generator=torch.Generator().manual_seed(4), dtype=F64)
    expected = images.numpy().copy()
    expected[draws.numpy() < probability] = 0
    expected[draws.numpy() < probability / 2] = 255
    assert np.array_equal(noise.impulse_noise(images, draws, probability).numpy(), expected)


def test_impulse_noise_strikes_with_its_probability() -> None:
    images = torch.full((64, 3, 32, 32), 99, dtype=torch.uint8)
    draws = noise.draw_uniforms(CounterRng(8, torch.arange(64)), (32, 32), ())
    struck = noise.impulse_noise(images, draws, 0.07)
    for level in (0, 255):
        share = (struck == level).double().mean().item()
        assert share == pytest.approx(0.035, abs=4 * math.sqrt(0.035 / images.numel()))
    assert set(struck.unique().tolist()) == {0, 99, 255}


@pytest.mark.parametrize("photons", settings("shot_noise"))
def test_shot_noise_inverts_the_poisson_distribution(photons: float) -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(6), dtype=torch.uint8)
    cells = noise.draw_cells(CounterRng(1, torch.arange(2)), (32, 32), ())
    counts = stats.poisson.ppf((cells.numpy() + 0.5) / 2**14, images.numpy() / 255.0 * photons)
    assert np.array_equal(noise.shot_noise(images, cells, photons).numpy(), floor_to_bytes(counts / photons))


def test_shot_noise_has_the_variance_of_its_mean() -> None:
    images = torch.full((64, 3, 32, 32), 51, dtype=torch.uint8)
    cells = noise.draw_cells(CounterRng(5, torch.arange(64)), (32, 32), ())
    photons = 51.0  # a multiple of which every count is a whole number of grey levels: no truncation
    shot = noise.shot_noise(images, cells, photons).double() / 255
    assert shot.mean().item() == pytest.approx(0.2, abs=5e-4)
    assert shot.var().item() == pytest.approx(0.2 / photons, rel=0.02)


def test_black_stays_black_in_shot_noise_and_speckle() -> None:
    black = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    rng = CounterRng(5, torch.arange(4))
    assert not noise.shot_noise(black, noise.draw_cells(rng, (32, 32), ()), 50.0).any()
    assert not noise.speckle_noise(black, noise.draw_normals(rng, (32, 32), ()), 0.2, dtype=F64).any()
