"""Points on the sphere of a p-norm, times U^(1/d), are uniform in its ball."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from impasto.augment import pnorm_ball
from impasto.rng import generator, numpy_generator

P = [0.5, 1.0, 2.0]


def sphere(p: float, n: int, d: int) -> np.ndarray:
    points = pnorm_ball.sphere(p, [d] * n, torch.zeros(n), generator(1, "ball"))
    return points.view(n, d).double().numpy()


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("d", [1, 3, 3072])
def test_points_have_norm_one(p: float, d: int) -> None:
    points = sphere(p, 20, d)
    np.testing.assert_allclose((np.abs(points) ** p).sum(1) ** (1 / p), 1, rtol=1e-5)


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("d", [2, 3])
def test_uniform_in_the_ball_like_points_of_a_cube_that_lie_inside(p: float, d: int) -> None:
    cube = numpy_generator(1, "cube").uniform(-1, 1, (400_000 if p == 0.5 else 40_000, d))
    inside = cube[(np.abs(cube) ** p).sum(1) <= 1]
    radius = numpy_generator(2, "radius").uniform(size=(8000, 1)) ** (1 / d)
    ours = sphere(p, 8000, d) * radius
    for direction in (np.eye(d)[0], np.eye(d)[d - 1], np.ones(d), np.array([1, -0.5, 0.3])[:d]):
        assert stats.ks_2samp(ours @ direction, inside @ direction).pvalue > 0.001
    assert stats.ks_2samp(np.abs(ours).max(1), np.abs(inside).max(1)).pvalue > 0.001


@pytest.mark.parametrize("p", P)
def test_the_law_of_a_coordinate_in_many_dimensions(p: float) -> None:
    """The powers |x_i|^p of a point of the sphere are Dirichlet(1/p, ..., 1/p)."""
    d = 3072
    points = sphere(p, 16, d)[:, ::3]
    law = stats.beta(1 / p, (d - 1) / p)
    assert stats.kstest((np.abs(points) ** p).ravel(), law.cdf).pvalue > 0.001


@pytest.mark.parametrize("p", P)
def test_signs_are_fair_and_independent_of_magnitudes_and_neighbours(p: float) -> None:
    points = sphere(p, 12, 3072)
    for positive in (points > 0, np.sign(points[:, ::2]) * np.sign(points[:, 1::2]) > 0):
        low, high = stats.binom.interval(1 - 1e-4, positive.size, 0.5)
        assert low <= positive.sum() <= high
    assert stats.ks_2samp(points[points > 0], -points[points < 0]).pvalue > 0.001


@pytest.mark.parametrize("p", P)
def test_a_part_of_a_point_has_the_law_of_that_part(p: float) -> None:
    """Against whole points in 7 dimensions, of which 2 and 4 coordinates are looked at; the rest is one Gamma."""
    n, d = 6000, 7
    whole, rest = sphere(p, n, d), numpy_generator(3, "rest").gamma(np.array([[5.0], [3.0]]) / p, size=(2, n))
    lengths = [2, 4] * n
    points = pnorm_ball.sphere(p, lengths, torch.from_numpy(rest.T.ravel().copy()).float(), generator(4, "ball"))
    parts = points.double().split(lengths)
    for length, some in ((2, parts[::2]), (4, parts[1::2])):
        ours = torch.stack(some).numpy()
        for direction in (np.eye(length)[0], np.eye(length)[-1], np.ones(length)):
            assert stats.ks_2samp(ours @ direction, whole[:, :length] @ direction).pvalue > 0.001
        sums = ((np.abs(each) ** p).sum(1) for each in (ours, whole[:, :length]))
        assert stats.ks_2samp(*sums).pvalue > 0.001
        assert stats.kstest((np.abs(ours) ** p).sum(1), stats.beta(length / p, (d - length) / p).cdf).pvalue > 0.001


@pytest.mark.parametrize("p", P)
def test_two_calls_give_the_points_of_one(p: float) -> None:
    lengths, rest, source = [5, 40, 16, 3], torch.arange(4.0), generator(5, "ball")
    together = pnorm_ball.sphere(p, lengths, rest, generator(5, "ball"))
    parts = [pnorm_ball.sphere(p, lengths[some], rest[some], source) for some in (slice(0, 1), slice(1, 4))]
    assert torch.equal(torch.cat(parts), together)


def test_extreme_words_give_finite_gamma_variables() -> None:
    ends = torch.tensor([0, -1, 2**31 - 1, -(2**31), 1], dtype=torch.int32)
    uniform = pnorm_ball._uniform(ends)
    assert uniform.min() > 0 and uniform.max() <= 1 and (uniform.min() ** 2).log().isfinite()


def test_other_norms_are_refused() -> None:
    with pytest.raises(ValueError, match="p is 3"):
        pnorm_ball.sphere(3, [2], torch.zeros(1), generator(1, "ball"))
