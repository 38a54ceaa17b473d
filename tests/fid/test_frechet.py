"""The distance: closed forms, scipy's formula, and numbers where others give NaN or complex ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.fid.frechet import frechet_distance
from impasto.fid.moments import Moments

Gaussian = tuple[Tensor, Tensor]


def gaussian(seed: int, dimension: int, decades: float = 1.0, rank: int | None = None) -> Gaussian:
    """A random Gaussian whose variances along its axes span ``decades`` powers of ten; the rest are zero."""
    source = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(dimension, dimension, generator=source, dtype=torch.float64)).Q
    variances = 10 ** torch.linspace(0, -decades, dimension, dtype=torch.float64)
    variances[dimension if rank is None else rank :] = 0
    covariance = (axes * variances) @ axes.T
    return torch.randn(dimension, generator=source, dtype=torch.float64), (covariance + covariance.T) / 2


def by_scipy(one: Gaussian, two: Gaussian) -> float:
    (mean1, cov1), (mean2, cov2) = ((m.numpy(), c.numpy()) for m, c in (one, two))
    root = scipy.linalg.sqrtm(cov1 @ cov2)
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * root.real))


@pytest.mark.parametrize("dimension", [1, 2, 16, 112])
@pytest.mark.parametrize("decades", [0.0, 2.0, 5.0])
def test_equals_scipy(dimension: int, decades: float) -> None:
    one, two = gaussian(1, dimension, decades), gaussian(2, dimension, decades / 2)
    assert frechet_distance(*one, *two) == pytest.approx(by_scipy(one, two), rel=1e-6)


def test_equals_scipy_on_ill_conditioned_features() -> None:
    """Features of 130 samples in 112 dimensions, as the smallest sets give them: condition numbers near 1e6."""
    sets = []
    for seed in (1, 2):
        source = torch.Generator().manual_seed(seed)
        scale = 10 ** torch.linspace(0, -2, 112, dtype=torch.float64)
        sets.append(Moments.of(torch.randn(130, 112, generator=source, dtype=torch.float64) * scale + seed))
    one, two = ((moments.mean(), moments.covariance()) for moments in sets)
    assert float(torch.linalg.cond(one[1])) > 1e5
    assert frechet_distance(*one, *two) == pytest.approx(by_scipy(one, two), rel=1e-6)


def test_commuting_covariances() -> None:
    """Diagonal covariances: the distance is the sum over axes of (m1 - m2)^2 + (s1 - s2)^2."""
    mean1, mean2 = torch.tensor([1.0, -2.0, 0.0]).double(), torch.tensor([0.0, 1.0, 0.5]).double()
    spread1, spread2 = torch.tensor([1.0, 0.0, 3.0]).double(), torch.tensor([2.0, 5.0, 0.0]).double()
    expected = float((mean1 - mean2).square().sum() + (spread1 - spread2).square().sum())
    found = frechet_distance(mean1, spread1.square().diag(), mean2, spread2.square().diag())
    assert found == pytest.approx(expected, rel=1e-14)


def test_rank_one_covariances() -> None:
    """C = a a^T and b b^T: the root of the product has the trace |a . b|, although no root matrix need exist."""
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40, generator=source, dtype=torch.float64)
    zero = torch.zeros_like(a)
    expected = float(a.square().sum() + b.square().sum() - 2 * (a @ b).abs())
    assert frechet_distance(zero, torch.outer(a, a), zero, torch.outer(b, b)) == pytest.approx(expected, rel=1e-12)


def test_disjoint_subspaces_share_nothing() -> None:
    """Along random axes, the zero variances come out as rounding errors, whose roots of 1e-8 must not count."""
    axes = torch.linalg.qr(torch.randn(60, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    one, two = axes[:, :5] @ axes[:, :5].T, 4 * axes[:, 5:10] @ axes[:, 5:10].T
    zero = torch.zeros(60, dtype=torch.float64)
    assert frechet_distance(zero, one, zero, two) == pytest.approx(25.0, rel=1e-13)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    dimension=st.integers(1, 20),
    decades=st.floats(0, 18),
    rank=st.integers(0, 20),
    scale=st.floats(-6, 6),
)
def test_metric_properties(seed: int, dimension: int, decades: float, rank: int, scale: float) -> None:
    mean1, cov1 = gaussian(seed, dimension, decades, min(rank, dimension))
    mean2, cov2 = gaussian(seed + 1, dimension)
    mean1, cov1, mean2, cov2 = mean1 * 10**scale, cov1 * 100**scale, mean2 * 10**scale, cov2 * 100**scale
    there, back = frechet_distance(mean1, cov1, mean2, cov2), frechet_distance(mean2, cov2, mean1, cov1)
    assert math.isfinite(there)
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-9, abs=1e-12 * float(cov2.trace()))
    for mean, covariance in ((mean1, cov1), (mean2, cov2)):
        size = float(covariance.trace() + mean.square().sum())
        assert frechet_distance(mean, covariance, mean, covariance) <= 1e-12 * size


def test_invariant_under_rotation() -> None:
    mean1, cov1 = gaussian(3, 12, decades=6)
    mean2, cov2 = gaussian(4, 12, rank=5)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q
    turned = frechet_distance(turn @ mean1, turn @ cov1 @ turn.T, turn @ mean2, turn @ cov2 @ turn.T)
    assert turned == pytest.approx(frechet_distance(mean1, cov1, mean2, cov2), rel=1e-9)


def test_fewer_samples_than_dimensions() -> None:
    """Ten samples in 64 dimensions: scipy's root gives complex entries here; the exact value needs only the samples."""
    sets = [torch.randn(10, 64, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (1, 2)]
    one, two = (Moments.of(features) for features in sets)
    centred = [(features - features.mean(0)) / 3 for features in sets]
    shared = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    traces = sum(part.square().sum() for part in centred)
    expected = float((one.mean() - two.mean()).square().sum() + traces - 2 * shared)
    found = frechet_distance(one.mean(), one.covariance(), two.mean(), two.covariance())
    assert found == pytest.approx(expected, rel=1e-9)


def test_bad_inputs() -> None:
    mean, covariance = gaussian(1, 3)
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(mean, covariance, mean * math.nan, covariance)
    with pytest.raises(ValueError, match="shapes"):
        frechet_distance(mean, covariance, *gaussian(1, 4))
    with pytest.raises(ValueError, match="shapes"):
        frechet_distance(mean, covariance, mean, covariance[:2, :2])
