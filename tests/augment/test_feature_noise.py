"""Feature noise has the published distributions, acts after the drawn stage and leaves no trace on the model."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from impasto.augment import feature_noise
from impasto.augment.feature_noise import FeatureNoise
from impasto.rng import generator


def features_of(*shape: int) -> Tensor:
    return torch.randn(shape, generator=generator(0, "features"))


def change(features: Tensor, additive: float, multiplicative: float, sparsity: float, seed: int = 0) -> Tensor:
    return feature_noise.apply(features, FeatureNoise(1, additive, multiplicative, sparsity), generator(seed, "noise"))


# ---- the plan


@pytest.mark.parametrize("depths", [3, 4])
def test_levels_are_beta_and_depths_and_sparsities_uniform(depths: int) -> None:
    n = 2000
    source = generator(depths, "plan")
    draws = [
        feature_noise.draw(depths=depths, additive=0.5, multiplicative=2.0, sparsity=0.65, generator=source)
        for _ in range(n)
    ]
    depth, additive, multiplicative, sparsity = (torch.tensor(column) for column in zip(*draws, strict=True))
    assert stats.chisquare(depth.bincount(minlength=depths).numpy()).pvalue > 0.001 and depth.max() < depths
    assert stats.kstest(additive.numpy() / 0.5, stats.beta(2, 5).cdf).pvalue > 0.001
    assert stats.kstest(multiplicative.numpy() / 2.0, stats.beta(2, 5).cdf).pvalue > 0.001
    assert stats.kstest(sparsity.numpy() / 0.65, "uniform").pvalue > 0.001
    independent = torch.stack([depth.float(), additive, multiplicative, sparsity]).corrcoef().fill_diagonal_(0)
    assert independent.abs().max() < 0.08


def test_the_papers_levels_are_the_defaults_and_the_original_sparsity_is_fixed() -> None:
    source = generator(0, "plan")
    drawn = [feature_noise.draw(generator=source) for _ in range(400)]
    assert 0.25 < max(noise.additive for noise in drawn) < 0.5
    assert 0.25 < max(noise.multiplicative for noise in drawn) < 0.5
    assert 0.63 < max(noise.sparsity for noise in drawn) < 0.65 and {noise.depth for noise in drawn} == {0, 1, 2}
    assert {feature_noise.draw(varied=False, generator=source).sparsity for _ in range(20)} == {0.65}


def test_draws_replay() -> None:
    first, again, other = (feature_noise.draw(generator=generator(seed, "plan")) for seed in (1, 1, 2))
    assert first == again != other
    assert first == pytest.approx((2, 0.08005720925974313, 0.2943629805517057, 0.3509653549311284))


# ---- the noise


def test_additive_noise_is_normal_and_spares_its_share() -> None:
    noise = change(torch.zeros(8, 20, 16, 16), 0.3, 0.4, 0.5)
    added = noise[noise != 0]
    assert stats.kstest(added.numpy(), stats.norm(0, 0.3).cdf).pvalue > 0.001
    low, high = stats.binom.interval(1 - 1e-5, noise.numel(), 0.5)
    assert low <= len(added) <= high


def test_factors_are_uniform_around_one_and_spare_their_share() -> None:
    factors = change(torch.ones(8, 20, 16, 16), 0.0, 0.4, 0.25)
    changed = factors[factors != 1]
    assert stats.kstest(changed.numpy(), stats.uniform(0.6, 0.8).cdf).pvalue > 0.001
    low, high = stats.binom.interval(1 - 1e-5, factors.numel(), 0.75)
    assert low <= len(changed) <= high


def test_the_two_parts_spare_independently() -> None:
    shape = (8, 20, 16, 16)
    added, factors = change(torch.zeros(shape), 0.3, 0.4, 0.5) != 0, change(torch.ones(shape), 0.0, 0.4, 0.5) != 1
    both = int((added & factors).sum())
    low, high = stats.binom.interval(1 - 1e-5, added.numel(), 0.25)
    assert low <= both <= high


def test_the_result_is_factor_times_features_plus_noise() -> None:
    x = features_of(4, 6, 5, 7)
    added, factor = change(torch.zeros_like(x), 0.3, 0.4, 0.3), change(torch.ones_like(x), 0.0, 0.4, 0.3)
    assert torch.allclose(change(x, 0.3, 0.4, 0.3), factor * x + added, atol=1e-6)


def test_nothing_changes_without_levels_or_where_all_is_spared() -> None:
    x = features_of(4, 6, 5, 7)
    assert torch.equal(change(x, 0.0, 0.0, 0.3), x) and torch.equal(change(x, 0.3, 0.4, 1.0), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precision_and_memory_format_stay(dtype: torch.dtype) -> None:
    x = features_of(4, 6, 5, 7).to(dtype)
    before = x.clone()
    plain, last = (change(form, 0.3, 0.4, 0.3) for form in (x, x.to(memory_format=torch.channels_last)))
    assert plain.dtype == last.dtype == dtype and torch.equal(plain, last) and torch.equal(x, before)
    assert last.is_contiguous(memory_format=torch.channels_last)
    exact = change(x.float(), 0.3, 0.4, 0.3)
    assert torch.equal(plain, exact.to(dtype))


def test_the_gradient_is_the_factor() -> None:
    x = features_of(2, 3, 4, 4).requires_grad_()
    change(x, 0.3, 0.4, 0.3).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, change(torch.ones_like(x), 0.0, 0.4, 0.3))


def test_the_same_state_gives_the_same_bits() -> None:
    x = features_of(2, 3, 4, 4)
    assert torch.equal(change(x, 0.3, 0.4, 0.3, seed=1), change(x, 0.3, 0.4, 0.3, seed=1))
    assert not torch.equal(change(x, 0.3, 0.4, 0.3, seed=1), change(x, 0.3, 0.4, 0.3, seed=2))
