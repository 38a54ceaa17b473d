"""Fog against a point-by-point fractal, brightness against colour conversion by the book."""

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.corruptions import weather
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.tables import TABLES

F64, F32 = torch.float64, torch.float32
FOGS = sorted({parameters for table in TABLES.values() for parameters in table["fog"]})


def fractal(uniforms: np.ndarray, decay: float) -> np.ndarray:
    """One plasma fractal, point by point, with every neighbour looked up on the torus."""
    side = len(uniforms)
    grid = np.zeros((side, side))

    def point(row: int, column: int, around: list[tuple[int, int]]) -> None:
        pairs = [grid[r % side, c % side] for r, c in around]
        mean = ((pairs[0] + pairs[1]) + (pairs[2] + pairs[3])) / 4
        grid[row, column] = mean + wobble * (uniforms[row, column] * (2 * wobble) - wobble)

    step, wobble = side, 100.0
    while step >= 2:
        half = step // 2
        for row in range(half, side, step):
            for column in range(half, side, step):
                left, right, up, down = column - half, column + half, row - half, row + half
                point(row, column, [(up, left), (down, left), (up, right), (down, right)])
        for row in range(0, side, step):
            for column in range(0, side, step):
                r, c = row, column + half
                point(r, c, [(r + half, c), (r - half, c), (r, c - half), (r, c + half)])
        for row in range(0, side, step):
            for column in range(0, side, step):
                r, c = row + half, column
                point(r, c, [(r, c + half), (r, c - half), (r - half, c), (r + half, c)])
        step, wobble = half, wobble / decay
    grid -= grid.min()
    return grid / grid.max()


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("decay", [3, 2.5, 1.4])
def test_plasma_equals_the_sequential_fractal(side: int, decay: float) -> None:
    uniforms = torch.rand(3, side, side, generator=torch.Generator().manual_seed(2), dtype=F64)
    expected = np.stack([fractal(each, decay) for each in uniforms.numpy()])
    assert np.array_equal(weather.plasma(uniforms, decay).numpy(), expected)


@pytest.mark.parametrize(("density", "decay"), FOGS)
def test_fog_is_its_formula(images: Tensor, density: float, decay: float) -> None:
    uniforms = torch.rand(len(images), 32, 32, generator=torch.Generator().manual_seed(2), dtype=F64)
    haze = weather.plasma(uniforms, decay).numpy()[:, None]
    x = images.numpy() / 255.0
    brightest = x.reshape(len(x), -1).max(axis=1)[:, None, None, None]
    expected = np.uint8(np.clip((x + density * haze) * brightest / (brightest + density), 0, 1) * 255)
    assert np.array_equal(weather.fog(images, uniforms, density, decay, dtype=F64).numpy(), expected)


def test_fog_grid_covers_the_image_and_is_used_to_the_last_row() -> None:
    rng = CounterRng(1, torch.arange(2))
    assert weather.draw_fog(rng, (28, 33), ()).shape == (2, 64, 64)
    assert weather.draw_fog(rng, (32, 32), ()).shape == (2, 32, 32)
    grey = torch.full((2, 3, 28, 33), 200, dtype=torch.uint8)
    foggy = weather.fog(grey, weather.draw_fog(rng, (28, 33), ()), 1.0, 2.0, dtype=F64)
    assert foggy.shape == grey.shape
    assert len(foggy[0, 0, -1].unique()) > 5
    assert torch.equal(foggy[:, 0], foggy[:, 2])


def test_float32_fog_stays_within_one_level(images: Tensor) -> None:
    uniforms = weather.draw_fog(CounterRng(1, torch.arange(len(images))), (32, 32), ())
    single, double = (weather.fog(images, uniforms, 1, 2, dtype=each).int() for each in (F32, F64))
    assert (single - double).abs().max() <= 1


def test_brightness_of_pure_colours() -> None:
    colours = torch.tensor([[0, 0, 0], [100, 0, 0], [0, 100, 100], [100, 100, 100], [250, 125, 0]], dtype=torch.uint8)
    batch = colours[:, :, None, None].expand(-1, 3, 16, 16).contiguous()
    brighter = weather.brightness(batch, 0.2, dtype=F64)[:, :, 0, 0].tolist()
    assert brighter == [[51, 51, 51], [151, 0, 0], [0, 151, 151], [151, 151, 151], [255, 127, 0]]
