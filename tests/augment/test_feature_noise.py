"""Feature noise has the published distributions, acts after the drawn stage and leaves no trace on the model."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from impasto.augment import feature_noise
from impasto.augment.feature_noise import FeatureNoise
from impasto.config.model import Model
from impasto.models.registry import blocks, build
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


# ---- where it acts


def network() -> nn.Sequential:
    config = Model(name="wrn", depth=10, width=1, dropout=0.0, activation="relu", stem_stride=1)
    return build(config, 5, (0.5,) * 3, (0.25,) * 3, seed=0).eval()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_change_replaces_what_the_stage_gives_to_the_next(depth: int) -> None:
    model, images = network(), torch.rand(2, 3, 16, 16, generator=generator(1, "images"))
    parts = dict(blocks(model))
    stages = [parts["stage1"], parts["stage2"]]
    plain, seen = model(images), []

    def double(features: Tensor) -> Tensor:
        seen.append(features)
        return 2 * features

    with feature_noise.after(stages, depth, double):
        changed = model(images)
    by_hand = images
    for name, part in model.named_children():
        by_hand = part(by_hand)
        if name == f"stage{depth}":
            assert torch.equal(seen[0], by_hand)
            by_hand = 2 * by_hand
    assert torch.equal(changed, by_hand) and len(seen) == (depth > 0)
    assert torch.equal(changed, plain) == (depth == 0)
    assert torch.equal(model(images), plain)


def test_an_error_inside_leaves_nothing_behind() -> None:
    stages = [nn.Identity()]

    def fail(_features: Tensor) -> Tensor:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), feature_noise.after(stages, 1, fail):
        stages[0](torch.ones(1))
    assert not stages[0]._forward_hooks and torch.equal(stages[0](torch.ones(1)), torch.ones(1))


def test_other_hooks_stay() -> None:
    stage = nn.Identity()
    calls: list[float] = []
    stage.register_forward_hook(lambda _stage, _inputs, output: calls.append(float(output)))
    with feature_noise.after([stage], 1, lambda features: features + 1):
        assert float(stage(torch.tensor(1.0))) == 2
    stage(torch.tensor(5.0))
    assert calls == [1, 5]


@pytest.mark.parametrize("depth", [-1, 3])
def test_a_depth_without_a_stage_is_refused(depth: int) -> None:
    with (
        pytest.raises(ValueError, match=f"depth {depth} of a model with 2 stages"),
        feature_noise.after([nn.Identity(), nn.Identity()], depth, torch.neg),
    ):
        pass


def test_noise_after_a_stage_reaches_the_weights_before_it() -> None:
    model = network()
    images, source = torch.rand(2, 3, 16, 16, generator=generator(1, "images")), generator(2, "noise")
    noise = FeatureNoise(2, 0.5, 0.5, 0.3)
    stages = [part for name, part in blocks(model) if name in {"stage1", "stage2"}]
    with feature_noise.after(stages, noise.depth, lambda features: feature_noise.apply(features, noise, source)):
        model(images).square().sum().backward()
    gradients = [weight.grad for weight in dict(blocks(model))["stem"].parameters()]
    assert all(grad is not None and math.isfinite(grad.sum()) and grad.any() for grad in gradients)
