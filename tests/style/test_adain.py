from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.rng import generator
from impasto.style.adain import adain, moments


def _features(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed, "test-features")) * 2 + 1


def _reference(features: np.ndarray, mean: np.ndarray, std: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The published formula, image by image and channel by channel, in float64."""
    out = np.empty(features.shape)
    for image in range(features.shape[0]):
        for channel in range(features.shape[1]):
            f = features[image, channel]
            t = std[image, channel] * (f - f.mean()) / np.sqrt(f.var(ddof=1) + 1e-5) + mean[image, channel]
            out[image, channel] = alpha[image] * t + (1 - alpha[image]) * f
    return out


@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    side=st.integers(2, 6),
)
def test_equals_the_published_formula(seed: int, batch: int, channels: int, side: int) -> None:
    features, mean = _features(seed, batch, channels, side, side), _features(seed + 1, batch, channels)
    std, alpha = _features(seed + 2, batch, channels).abs(), torch.rand(batch, generator=generator(seed, "alpha"))
    expected = _reference(*(x.double().numpy() for x in (features, mean, std, alpha)))
    np.testing.assert_allclose(adain(features, mean, std, alpha).numpy(), expected, rtol=1e-3, atol=1e-3)


def test_full_strength_gives_each_channel_the_moments_of_the_style() -> None:
    features, style = _features(0, 3, 5, 16, 16), moments(_features(1, 3, 5, 9, 9) * 3 - 1)
    found = moments(adain(features, style.mean, style.std, torch.ones(3)))
    torch.testing.assert_close(found.mean, style.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.std, style.std, rtol=1e-4, atol=1e-4)


def test_zero_strength_is_the_identity_bit_for_bit() -> None:
    features = _features(0, 2, 3, 8, 8)
    assert torch.equal(adain(features, torch.full((2, 3), 9.0), torch.full((2, 3), 7.0), torch.zeros(2)), features)


def test_strength_is_per_image_and_linear_in_feature_space() -> None:
    features, style = _features(0, 5, 3, 8, 8), moments(_features(1, 5, 3, 8, 8) * 2)
    alpha = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    full = adain(features, *style, torch.ones(5))
    weight = alpha[:, None, None, None]
    blended = (1 - weight) * features + weight * full
    torch.testing.assert_close(adain(features, *style, alpha), blended, rtol=1e-4, atol=1e-4)


def test_constant_channels_stay_finite_and_take_the_mean_of_the_style() -> None:
    result = adain(torch.full((1, 1, 8, 8), 3.0), torch.tensor([[2.0]]), torch.tensor([[5.0]]), torch.ones(1))
    torch.testing.assert_close(result, torch.full((1, 1, 8, 8), 2.0), rtol=0, atol=1e-2)


def test_moments_are_unbiased_variance_plus_epsilon() -> None:
    features = _features(0, 2, 3, 7, 5)
    variance, mean = torch.var_mean(features.double(), dim=(2, 3), correction=1)
    found = moments(features)
    torch.testing.assert_close(found.mean.double(), mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.std.double(), (variance + 1e-5).sqrt(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bfloat16_features_are_blended_in_float32(layout: torch.memory_format) -> None:
    features = _features(0, 2, 3, 8, 8).bfloat16().contiguous(memory_format=layout)
    style = moments(_features(1, 2, 3, 8, 8))
    expected = adain(features.float(), *style, torch.ones(2)).bfloat16()
    assert torch.equal(adain(features, *style, torch.ones(2)), expected)
