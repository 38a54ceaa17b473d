"""What the corruptions draw, by distribution: ranges, shapes, frequencies, and independence of the parts."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.registry import corrupt, parameters_of

COUNT = 2000
TURN = 2 * math.pi
S = 32


def draws(
    name: str, size: tuple[int, int] = (S, S), count: int = COUNT, parameters: tuple[float, ...] | None = None
) -> Any:
    draw = CATALOGUE[name].draw
    assert draw is not None
    table = "cifar" if max(size) < 64 else "imagenet"
    stream = CounterRng(0x5EED, torch.arange(count) * 7 + 3)
    return draw(stream, size, parameters_of(name, 3, table) if parameters is None else parameters)


def assert_uniform(values: Tensor, low: float, high: float, slack: float = 0.0) -> None:
    """Within the ends, near both, and no further from a uniform's distribution than one true sample of 1,500 is."""
    values = (values.double().flatten() - low) / (high - low)
    count = len(values)
    near = 10 / count + slack
    assert -slack <= values.min() < near
    assert 1 - near < values.max() <= 1 + slack
    assert stats.kstest(values.numpy(), "uniform").statistic < 2 / math.sqrt(count) + slack


def assert_independent(columns: Tensor) -> None:
    """No column of [N, K] tells of another's values or squares."""
    columns = columns.double()
    centred = columns - columns.mean(dim=0)
    kinds = torch.cat((centred, centred.square(), columns.sign() * centred.square()), dim=1)
    table = torch.corrcoef(kinds[:, kinds.std(dim=0) > 0].T).abs()
    owner = torch.arange(columns.shape[1]).repeat(3)[kinds.std(dim=0) > 0]
    others = table[owner[:, None] != owner]
    assert others.max() < 5 / math.sqrt(len(columns))


def assert_equally_often(values: Tensor, kinds: int) -> None:
    """Whole numbers 0 to ``kinds`` - 1, by a chi-squared test at 1 in 2,000."""
    counts = torch.bincount(values.flatten(), minlength=kinds)
    assert len(counts) == kinds
    assert stats.chisquare(counts.numpy()).pvalue > 5e-4


@pytest.mark.parametrize(("name", "channels"), [("blue_noise_sample", 1), ("brownish_noise", 3)])
def test_phases(name: str, channels: int) -> None:
    drawn = draws(name, count=400)
    assert drawn.shape == (400, channels, S * S // 2)
    assert (drawn.abs() - 1).abs().max() < 1e-12
    phases = drawn.angle().remainder(TURN)
    assert_uniform(phases, 0, TURN, slack=2e-4)
    assert_independent(torch.cat([phases[:, channel, [0, 1, 2, 31, 32, 511]] for channel in range(channels)], dim=1))


def test_blue_noise_is_mono_and_brownish_noise_is_not() -> None:
    images, ids = torch.full((50, 3, S, S), 128, dtype=torch.uint8), torch.arange(50)
    blue, brownish = (corrupt(images, name, 5, 0, ids) for name in ("blue_noise_sample", "brownish_noise"))
    assert torch.equal(blue, blue[:, :1].expand_as(blue))
    levels = brownish.double().transpose(0, 1).flatten(1)
    # Few numbers make up noise of this spectrum: by chance, two channels of one image correlate by about .26.
    assert torch.corrcoef(levels).sub(torch.eye(3)).abs().max() < 4 * 0.26 / math.sqrt(50)


def test_boards() -> None:
    board = draws("checkerboard_cutout")
    assert_uniform(board.angles, 0, TURN)
    assert_uniform(board.cells, 0.1 * S, 0.25 * S)
    reach = board.chances.shape[1] // 2
    assert board.chances.shape == (COUNT, 2 * reach + 1, 2 * reach + 1)
    assert reach * 0.1 * S > math.hypot(S - 1, S - 1)  # the smallest cells fill the image at any angle
    assert_uniform(board.chances[:, ::5, ::5], 0, 1, slack=2e-5)
    some = board.chances[:, :2].flatten(1)[:, :12]
    assert_independent(torch.cat((board.angles[:, None], board.cells[:, None], some), dim=1))


@pytest.mark.parametrize(("name", "stars", "low", "high"), [("sparkles", 5, 0, 1), ("inverse_sparkles", 1, 0.25, 0.75)])
def test_stars(name: str, stars: int, low: float, high: float) -> None:
    size = 24, 48
    drawn = draws(name, size)
    assert drawn.centres.shape == (COUNT, stars, 2)
    assert drawn.normals.shape == (COUNT, stars, 199)
    for axis, side in enumerate(size):
        assert_uniform(drawn.centres[..., axis], low * side, high * side)
    assert (drawn.rays.min(), drawn.rays.max()) == (50, 199)
    assert_equally_often((drawn.rays - 50).div(10, rounding_mode="floor"), 15)
    some = drawn.normals.flatten(1)[:, ::199]
    first = drawn.normals.flatten(1)[:, :12]
    assert stats.kstest(drawn.normals[:100].double().flatten().numpy(), "norm").statistic < 2 / math.sqrt(100 * 199)
    columns = (drawn.centres.flatten(1), drawn.rays, first, some[:, 1:])
    assert_independent(torch.cat([each.double() for each in columns], dim=1))


def test_senses_of_the_whirls() -> None:
    senses = draws("pinch_and_twirl")
    assert senses.shape == (COUNT, 3, 3)
    assert draws("pinch_and_twirl", (224, 224), count=2, parameters=(5.5,)).shape == (2, 5, 5)
    assert (senses.double().mean(dim=0) - 0.5).abs().max() < 4 * 0.5 / math.sqrt(COUNT)
    assert_independent(senses.flatten(1))


def test_ripples() -> None:
    waves = draws("ripple")
    for axis in (0, 1):
        assert_uniform(waves.lengths[:, axis], 0.1 * S, 0.3 * S)
        assert_uniform(waves.phases[:, axis], 0, TURN)
    assert_independent(torch.cat((waves.lengths, waves.phases), dim=1))


def test_number_of_lines() -> None:
    for severity, count in zip(range(1, 6), (1, 3, 4, 6, 8), strict=True):
        strokes = draws("lines", count=3, parameters=parameters_of("lines", severity, "cifar"))
        assert strokes.middles.shape == (3, count, 2)
        assert strokes.angles.shape == (3, count)


def test_angles_of_lines_vary_about_a_common_one() -> None:
    many = 200  # so that the ends of an image's angles tell their middle and their spread
    strokes = draws("lines", count=1000, parameters=(10 * many / S,))
    assert strokes.angles.shape == (1000, many)
    lowest, highest = strokes.angles.aminmax(dim=1)
    variation = (highest - lowest) / TURN * (many + 1) / (many - 1)
    common = (highest + lowest) / 2
    assert_uniform(variation, 0.1, 1, slack=0.03)
    assert_uniform(common, 0, TURN, slack=0.03)
    assert_uniform((strokes.angles - common[:, None]) / (TURN * variation[:, None]), -0.5, 0.5, slack=0.03)
    columns = torch.cat((common[:, None], variation[:, None], strokes.middles[:, :3].flatten(1)), dim=1)
    assert_independent(columns)


def test_middles_of_lines() -> None:
    size = 24, 48
    strokes = draws("lines", size)
    for axis, side in enumerate(size):
        assert_uniform(strokes.middles[..., axis], 0, side)
    # A stroke's own angle belongs to a common one, so angles of one image are no independent columns.
    assert_independent(torch.cat((strokes.angles[:, :1], strokes.middles.flatten(1)), dim=1))


def test_orders_of_the_scales() -> None:
    scales = draws("transverse_chromatic_abberation")
    assert torch.equal(scales.sort(dim=1).values, torch.arange(3).expand(COUNT, 3))
    _, kinds = scales.unique(dim=0, return_inverse=True)
    assert_equally_often(kinds, 6)


def test_water() -> None:
    water = draws("caustic_refraction", (64, 64))
    assert_uniform(water.times, 0.5, 2)
    assert_uniform(water.scales, 0.75 * 64, 1.25 * 64)
    assert_independent(torch.stack(water, dim=1))


def test_rings() -> None:
    size = 64, 64
    rings = draws("cocentric_sine_waves", size)
    assert_uniform(rings.lobes, 0, 10)
    assert_uniform(rings.amplitudes, 0, 6.4)
    assert_uniform(rings.widths, 0, 6.4)
    for axis in (0, 1):
        assert_uniform(rings.centres[:, axis], 0, 64)
    columns = (rings.centres, rings.lobes[:, None], rings.amplitudes[:, None], rings.widths[:, None])
    assert_independent(torch.cat(columns, dim=1))
    uneven = draws("cocentric_sine_waves", (24, 48)).centres
    assert_uniform(uneven[:, 0], 0, 48)
    assert_uniform(uneven[:, 1], 0, 24)


def test_gradients() -> None:
    down, right = draws("perlin_noise", (64, 64), count=20)
    assert (down.square() + right.square() - 1).abs().max() < 1e-6
    larger, smaller = torch.maximum(down.abs(), right.abs()), torch.minimum(down.abs(), right.abs())
    # Directions to points of a square: the ratio is uniform as well, but 1 for 1 in 32 points of a 64 x 64 grid.
    assert_uniform(smaller / larger, 0, 1, slack=0.035)
    octant = (down > 0).long() + 2 * (right > 0) + 4 * (down.abs() > right.abs())
    assert_equally_often(octant[larger > smaller], 8)
    down, right = draws("perlin_noise", (16, 16))
    assert_independent(torch.atan2(down[:8], right[:8]).T)


def test_plasma() -> None:
    plasma = draws("plasma_noise", (64, 64))
    assert_uniform(plasma.times, 0, 6 * math.pi)
    assert_equally_often(plasma.iterations - 4, 3)
    assert_uniform(plasma.sharpness, 0.5, 1)
    assert_uniform(plasma.scales, 0.075 * 64, 0.2 * 64)
    assert_independent(torch.stack([each.double() for each in plasma], dim=1))


def test_plane_waves() -> None:
    wave = draws("single_frequency_greyscale", (64, 64))
    first = wave.frequencies.abs().argmax(dim=1)
    larger, smaller = (wave.frequencies.gather(1, each[:, None])[:, 0] for each in (first, 1 - first))
    assert_uniform(larger, -math.pi, math.pi)
    assert_uniform(smaller / larger.abs(), -1, 1)
    assert_uniform(wave.phases, 0, TURN)
    assert_equally_often(first, 2)
    assert_independent(torch.stack((larger, smaller / larger.abs(), wave.phases, first), dim=1))


def test_elastic_anchors_and_fields_are_different_numbers() -> None:
    drawn = draws("elastic_transform", (16, 16))
    assert_uniform(drawn.anchors, -1, 1)
    assert_uniform(drawn.fields[:, :, ::4, ::4], -1, 1, slack=2e-5)
    some = drawn.fields.flatten(1)[:, [*range(24), 256, 300, 511]]
    assert_independent(torch.cat((drawn.anchors.flatten(1), some), dim=1))


def test_angles_of_motion() -> None:
    assert_uniform(draws("motion_blur"), -45, 45)


@pytest.mark.parametrize("name", sorted(name for name, each in CATALOGUE.items() if each.stochastic))
def test_draws_of_an_image_depend_on_its_id_alone(name: str) -> None:
    """The first of many is the first of two: a draw never looks at its neighbours."""
    few, more = draws(name, count=2), draws(name, count=5)
    for one, other in zip(*(each if isinstance(each, tuple) else (each,) for each in (few, more)), strict=True):
        alone, among = (each.movedim(-1, 0) if name == "perlin_noise" else each for each in (one, other))
        assert torch.equal(alone, among[:2])
