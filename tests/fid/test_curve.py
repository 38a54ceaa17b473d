"""The curve from one pass: equal to assembling every point anew, and to the closed form on average."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.fid.buckets import mixtures
from impasto.fid.curve import draw_uniforms, frechet_curve, grid, measure_curve, original_distance, table_row
from impasto.fid.frechet import frechet_distance
from impasto.fid.moments import Moments

DIMENSION = 6


class Mean6:
    """A cheap extractor: mean and deviation of each channel."""

    name, identity, resize, dimension = "mean6", "channel means and deviations", "none", DIMENSION
    device = torch.device("cpu")

    def __call__(self, images: Tensor) -> Tensor:
        pixels = images.float().flatten(2)
        return torch.cat([pixels.mean(2), pixels.std(2)], 1)


def feature_sets(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Moments]:
    """Plain and stylised features, uniforms and reference moments."""
    source = torch.Generator().manual_seed(seed)
    mix = torch.randn(DIMENSION, DIMENSION, generator=source)
    plain, stylised, real = (torch.randn(count, DIMENSION, generator=source) for _ in range(3))
    return plain @ mix, stylised * 2 + 3, draw_uniforms(count, source), Moments.of(real @ mix + 0.1)


def closed_form(plain: Moments, stylised: Moments, share: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a mixture: (1 - t) C0 + t C1 + t (1 - t) d d^T with d the difference of the means."""
    difference = stylised.mean() - plain.mean()
    spread = share * (1 - share) * torch.outer(difference, difference)
    mean = plain.mean() + share * difference
    return mean, (1 - share) * plain.covariance() + share * stylised.covariance() + spread


@pytest.mark.parametrize("points", [grid(11), grid(2), (0.25, 0.25, 0.9), (0.5,)])
def test_one_pass_equals_assembling_each_point(points: tuple[float, ...]) -> None:
    plain, stylised, u, reference = feature_sets(300)
    found = frechet_curve(plain, stylised, u, reference, points)
    for value, point in zip(found, points, strict=True):
        assembled = np.where(u.numpy()[:, None] < point, stylised, plain).astype(np.float64)
        mean, covariance = torch.tensor(assembled.mean(0)), torch.tensor(np.cov(assembled, rowvar=False))
        expected = frechet_distance(mean, covariance, reference.mean(), reference.covariance())
        assert value == pytest.approx(expected, rel=1e-9)


def test_agrees_with_the_closed_form_within_the_noise_of_the_draws() -> None:
    plain, stylised, _, reference = feature_sets(2000)
    draws = [draw_uniforms(2000, torch.Generator().manual_seed(seed)) for seed in range(30)]
    curves = np.array([frechet_curve(plain, stylised, u, reference, grid(11)) for u in draws])
    mean, error = curves.mean(0), curves.std(0, ddof=1) / np.sqrt(len(draws))
    one, two = Moments.of(plain), Moments.of(stylised)
    for point, found, noise in zip(grid(11), mean, error, strict=True):
        expected = frechet_distance(*closed_form(one, two, point), reference.mean(), reference.covariance())
        assert abs(found - expected) < 4 * noise + 0.003 * expected


def test_ends_are_the_pure_sets() -> None:
    plain, stylised, u, reference = feature_sets(200)
    ends = frechet_curve(plain, stylised, u, reference, grid(11))
    for value, features in ((ends[0], plain), (ends[-1], stylised)):
        pure = Moments.of(features)
        expected = frechet_distance(pure.mean(), pure.covariance(), reference.mean(), reference.covariance())
        assert value == pytest.approx(expected, rel=1e-12)


def test_an_image_is_stylised_strictly_below_the_point() -> None:
    plain, stylised = torch.zeros(3, 1), torch.ones(3, 1)
    u = torch.tensor([0.0, 0.5, 0.7], dtype=torch.float64)
    counts = [float(moments.sum) for moments in mixtures(plain, stylised, u, (0.0, 0.1, 0.5, 0.6, 1.0))]
    assert counts == [0, 1, 1, 2, 3]


def test_order_of_images_changes_nothing() -> None:
    plain, stylised, u, reference = feature_sets(150)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))
    shuffled = frechet_curve(plain[order], stylised[order], u[order], reference, grid(11))
    assert shuffled == pytest.approx(frechet_curve(plain, stylised, u, reference, grid(11)), rel=1e-10)


def test_adding_points_moves_none() -> None:
    plain, stylised, u, reference = feature_sets(150)
    fine = frechet_curve(plain, stylised, u, reference, grid(21))
    assert fine[::2] == pytest.approx(frechet_curve(plain, stylised, u, reference, grid(11)), rel=1e-10)


def test_grid_and_uniforms() -> None:
    assert grid(11) == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    u = draw_uniforms(1000, torch.Generator().manual_seed(0))
    assert u.dtype == torch.float64
    assert 0 <= float(u.min()) < float(u.max()) < 1
    assert torch.equal(u, draw_uniforms(1000, torch.Generator().manual_seed(0)))


def images(count: int, seed: int) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(40, 200, (count, 3, 8, 8), generator=source, dtype=torch.uint8)


def tint(batch: Tensor, rows: Tensor) -> Tensor:
    """A stand-in for the stylizer that depends on the row."""
    return (batch.float() * 0.5 + (rows % 7 * 15)[:, None, None, None]).to(torch.uint8)


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_measured_curve(batch: int) -> None:
    synthetic, reference = images(50, 1), Moments.of(Mean6()(images(60, 2)))
    u = draw_uniforms(50, torch.Generator().manual_seed(3))
    curve = measure_curve(Mean6(), synthetic.numpy(), tint, u, reference, grid(11), batch)
    stylised = tint(synthetic, torch.arange(50))
    expected = frechet_curve(Mean6()(synthetic), Mean6()(stylised), u, reference, grid(11))
    assert curve.values == pytest.approx(expected, rel=1e-6)
    assert curve.values[-1] > curve.values[0]
    record = json.loads(json.dumps(dataclasses.asdict(curve)))
    assert (record["n"], record["reference_n"], record["dimension"]) == (50, 60, DIMENSION)
    assert (record["extractor"], record["identity"], record["resize"]) == (Mean6.name, Mean6.identity, Mean6.resize)
    assert record["points"] == list(grid(11))


def test_the_original_column_is_the_distance_of_held_out_images() -> None:
    held_out, features = images(20, 5), Mean6()(images(60, 2))
    found, theirs = original_distance(Mean6(), held_out, Moments.of(features)), Mean6()(held_out)
    pairs = [
        (s.double().mean(0), torch.from_numpy(np.cov(s.double().numpy(), rowvar=False))) for s in (theirs, features)
    ]
    assert found == pytest.approx(frechet_distance(*pairs[0], *pairs[1]), rel=1e-9)
    assert original_distance(Mean6(), held_out[:6], Moments.of(features)) is None
    assert original_distance(Mean6(), held_out[:7], Moments.of(features)) is not None


def test_the_row_has_the_layout_of_table_1() -> None:
    u, reference = draw_uniforms(50, torch.Generator().manual_seed(3)), Moments.of(Mean6()(images(60, 2)))
    curve = measure_curve(Mean6(), images(50, 1), tint, u, reference, grid(11), 50)
    row = table_row(dataclasses.replace(curve, original=1.5, original_n=20), "cifar10")
    about = ["dataset", "extractor", "n", "reference_n", "original_n", "resize", "original"]
    points = ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
    assert list(row) == about + points and [row[point] for point in points] == list(curve.values)
    assert [row[name] for name in about] == ["cifar10", "mean6", 50, 60, 20, "none", 1.5]
    assert table_row(curve, "cifar10")["original"] is None


def test_too_few_images() -> None:
    enough, few, u = Moments.of(Mean6()(images(7, 1))), Moments.of(Mean6()(images(6, 1))), torch.zeros(7)
    with pytest.raises(ImpastoError, match="6 synthetic images are too few for the 6 dimensions"):
        measure_curve(Mean6(), images(6, 0), tint, u[:6], enough, grid(11), 4)
    with pytest.raises(ImpastoError, match="6 reference images are too few"):
        measure_curve(Mean6(), images(7, 0), tint, u, few, grid(11), 4)


def test_bad_inputs() -> None:
    plain, stylised, u, reference = feature_sets(20)
    with pytest.raises(ValueError, match="ascend"):
        frechet_curve(plain, stylised, u, reference, (0.5, 0.1))
    with pytest.raises(ValueError, match="lengths"):
        frechet_curve(plain, stylised[:-1], u, reference, (0.5,))
