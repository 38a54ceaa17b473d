"""The corruptions that imagecorruptions-imaug does as the benchmark does, against it, at its ImageNet constants.

Its own departures: fog works in float32; pixelate enlarges by the nearest pixel, which at these sizes is what the BOX
filter gives; it draws impulse noise from a generator of its own. Elastic transform, zoom blur, snow and frost are
other algorithms there, so they are not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import imagecorruptions
import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_sample_images
from torch import Tensor

from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.registry import corrupt
from impasto.corruptions.tables import TABLES

SEVERITIES = (1, 2, 3, 4, 5)
EXACT = ("brightness", "saturate", "pixelate", "jpeg_compression")
WITHIN_ONE = {"gaussian_blur": 0.0, "defocus_blur": 1e-5, "contrast": 0.03}
"""Share of values that may differ; contrast keeps a flat colour on its grey level up to the rounding of a mean."""

NULL = {
    "gaussian_noise": (0.009, 0.0019),
    "shot_noise": (0.03, 0.0013),
    "impulse_noise": (0.07, 0.0008),
    "speckle_noise": (0.02, 0.0017),
    "fog": (0.30, 0.021),
}
"""How far two runs of the benchmark's functions are apart on 200 images: mean PSNR in dB, and the distance D.

At the constants of CIFAR; D of impulse noise for the larger shares of ImageNet's, its standard deviation at severity 5.
"""


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Crops of photographs and made images, uint8 [24, 3, 32, 32]."""
    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    crops = [photos[k % 2][:, 20 * k : 20 * k + 32, 28 * k : 28 * k + 32] for k in range(18)]
    made = torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    made[1] = made[1, :1]
    made[2:4] = made[2:4, :, :1, :1]
    made[4], made[5] = 0, 255
    return torch.cat((torch.stack(crops), made))


def peer(images: Tensor, name: str, severity: int) -> np.ndarray:
    """The peer's result, one image after the other, uint8 [B, 3, H, W]."""
    results = []
    for index, image in enumerate(images.permute(0, 2, 3, 1).contiguous().numpy()):
        seed = {"seed": index} if name == "impulse_noise" else {}  # the others draw from numpy's global generator
        results.append(imagecorruptions.corrupt(image, severity, name, **seed).transpose(2, 0, 1))
    return np.stack(results)


def ours(images: Tensor, name: str, severity: int, draws: Tensor | None = None) -> np.ndarray:
    chosen, parameters = CATALOGUE[name], TABLES["imagenet"][name][severity - 1]
    given = () if draws is None else (draws,)
    return chosen.operation(images, *given, *parameters, **({} if chosen.integer else {"dtype": torch.float64})).numpy()


def assert_within_one(result: np.ndarray, expected: np.ndarray, share: float) -> None:
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert (result != expected).mean() <= share


def channels_last(draws: Tensor) -> Iterator[np.ndarray]:
    """What each image of a batch draws, in the peer's layout."""
    return iter(draws.permute(0, 2, 3, 1).contiguous().numpy())


def test_the_documentation_claims_what_is_held_here(claims: dict[str, tuple[int, float]]) -> None:
    held = dict.fromkeys(EXACT, 0.0) | WITHIN_ONE
    assert {name: claims[name] for name in held} == {name: (int(share > 0), share) for name, share in held.items()}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", EXACT)
def test_deterministic_ones_are_equal(pictures: Tensor, name: str, severity: int) -> None:
    assert np.array_equal(ours(pictures, name, severity), peer(pictures, name, severity))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", WITHIN_ONE)
def test_deterministic_ones_are_within_one_level(pictures: Tensor, name: str, severity: int) -> None:
    assert_within_one(ours(pictures, name, severity), peer(pictures, name, severity), WITHIN_ONE[name])


def test_contrast_differs_on_flat_colours_alone(pictures: Tensor) -> None:
    varied = pictures.flatten(2).amax(dim=2) > pictures.flatten(2).amin(dim=2)
    differs = ours(pictures, "contrast", 3) != peer(pictures, "contrast", 3)
    assert not differs[varied.numpy()].any()


@pytest.mark.parametrize("name", [*EXACT, *WITHIN_ONE])
def test_equal_at_full_size(name: str) -> None:
    photo = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1)[None, :, 100:324, 200:424]
    assert_within_one(ours(photo, name, 3), peer(photo, name, 3), WITHIN_ONE.get(name, 0))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise"])
def test_normal_noise_is_equal_given_the_normals(
    pictures: Tensor, name: str, severity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    normals = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    draws = channels_last(normals)
    monkeypatch.setattr(np.random, "normal", lambda size, scale: next(draws) * scale)
    assert np.array_equal(ours(pictures, name, severity, normals), peer(pictures, name, severity))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_is_equal_given_the_quantiles(
    pictures: Tensor, severity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = torch.randint(0, 2**14, pictures.shape, generator=torch.Generator().manual_seed(3), dtype=torch.int16)
    draws = channels_last(cells)
    monkeypatch.setattr(np.random, "poisson", lambda mean: stats.poisson.ppf((next(draws) + 0.5) / 2**14, mean))
    assert np.array_equal(ours(pictures, "shot_noise", severity, cells), peer(pictures, "shot_noise", severity))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_is_equal_given_the_draws(
    pictures: Tensor, severity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(4)
    struck, side = (generator.random(pictures.shape) for _ in range(2))
    probability = TABLES["imagenet"]["impulse_noise"][severity - 1][0]
    # One uniform says both whether a value is struck and by what.
    uniforms = np.where(struck <= probability, np.where(side <= 0.5, 0.25, 0.75) * probability, 1)
    draws = zip(channels_last(torch.from_numpy(struck)), channels_last(torch.from_numpy(side)), strict=True)

    class Drawn(np.random.Generator):
        def __init__(self) -> None:
            super().__init__(np.random.PCG64(0))
            self.left = iter(next(draws))

        def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
            return next(self.left)

    monkeypatch.setattr(np.random, "default_rng", lambda _=None: Drawn())
    result = ours(pictures, "impulse_noise", severity, torch.from_numpy(uniforms))
    assert np.array_equal(result, peer(pictures, "impulse_noise", severity))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_fog_is_within_one_level_given_the_uniforms(
    pictures: Tensor, severity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uniforms = torch.rand(len(pictures), 32, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    calls = count()

    def uniform(low: float, high: float, shape: tuple[int, int]) -> np.ndarray:
        # Centres of squares, middles of horizontal edges and of vertical ones, in 5 levels.
        image, call = divmod(next(calls), 15)
        step = 32 >> call // 3
        row, column = ((step // 2, step // 2), (0, step // 2), (step // 2, 0))[call % 3]
        drawn = uniforms[image, row::step, column::step].numpy()
        assert drawn.shape == shape
        return low + (high - low) * drawn

    monkeypatch.setattr(np.random, "uniform", uniform)
    assert_within_one(ours(pictures, "fog", severity, uniforms), peer(pictures, "fog", severity), 2e-4)


@pytest.mark.parametrize("name", NULL)
def test_own_draws_have_the_peers_distribution(real_images: Tensor, name: str) -> None:
    np.random.seed(0)
    decibels, distance = NULL[name]
    for severity in SEVERITIES:
        result = corrupt(real_images, name, severity, 0, torch.arange(len(real_images)), table="imagenet").numpy()
        expected = peer(real_images, name, severity)
        assert mean_psnr(result, real_images) == pytest.approx(mean_psnr(expected, real_images), abs=3 * decibels)
        shares = [np.cumsum(np.bincount(each.ravel(), minlength=256)) / each.size for each in (result, expected)]
        assert np.abs(shares[0] - shares[1]).max() < 3 * distance, f"severity {severity}"


def mean_psnr(result: np.ndarray, clean: Tensor) -> float:
    error = np.square(result.astype(float) - clean.numpy()).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255**2 / error)).mean())
