"""Moments: numpy's mean and covariance, however the vectors were split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.fid.moments import Moments


def vectors(count: int, dimension: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)) * 3 + 5


def test_equals_numpy() -> None:
    features = vectors(50, 7)
    moments = Moments.of(features)
    wide = features.double().numpy()
    np.testing.assert_allclose(moments.mean(), wide.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance(), np.cov(wide, rowvar=False), rtol=1e-11, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 40), max_size=5), seed=st.integers(0, 1000))
def test_any_split_and_order_gives_the_same(cuts: list[int], seed: int) -> None:
    features = vectors(40, 5)
    shuffled = features[torch.randperm(40, generator=torch.Generator().manual_seed(seed))]
    total = Moments.zero(5)
    for part in np.split(shuffled.numpy(), sorted(cuts)):
        total += Moments.of(torch.from_numpy(part))
    whole = Moments.of(features)
    assert total.count == whole.count == 40
    torch.testing.assert_close(total.mean(), whole.mean(), rtol=1e-13, atol=0)
    torch.testing.assert_close(total.covariance(), whole.covariance(), rtol=1e-11, atol=1e-12)


def test_covariance_is_symmetric_and_double() -> None:
    covariance = Moments.of(vectors(30, 6).half()).covariance()
    assert covariance.dtype == torch.float64
    assert torch.equal(covariance, covariance.T)


def test_large_mean_costs_few_digits() -> None:
    features = vectors(200, 3).double()
    far = Moments.of(features + 1e4).covariance()
    torch.testing.assert_close(far, Moments.of(features).covariance(), rtol=1e-7, atol=1e-7)


def test_too_few_vectors() -> None:
    with pytest.raises(ValueError, match="no vector"):
        Moments.zero(3).mean()
    with pytest.raises(ValueError, match="two vectors"):
        Moments.of(vectors(1, 3)).covariance()
