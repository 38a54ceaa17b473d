"""Colour conversion against a transcription of scikit-image's order of operations in numpy."""

import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.corruptions import digital, weather
from impasto.corruptions.tables import TABLES

F64, F32 = torch.float64, torch.float32
SHIFTS = sorted({parameters[0] for table in TABLES.values() for parameters in table["brightness"]})
SATURATIONS = sorted({parameters for table in TABLES.values() for parameters in table["saturate"]})


def to_hsv(rgb: np.ndarray) -> list[np.ndarray]:
    """HSV of float RGB [B, 3, H, W]; later channels overwrite where the maximum is shared."""
    red, green, blue = rgb.transpose(1, 0, 2, 3)
    value = rgb.max(axis=1)
    spread = value - rgb.min(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        saturation = np.where(spread == 0, 0, spread / value)
        hue = (green - blue) / spread
        hue = np.where(green == value, 2 + (blue - red) / spread, hue)
        hue = np.where(blue == value, 4 + (red - green) / spread, hue)
    return [np.where(spread == 0, 0, (hue / 6) % 1), saturation, value]


def to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    turns = np.floor(hue * 6)
    rest = hue * 6 - turns
    low = value * (1 - saturation)
    falling, rising = value * (1 - rest * saturation), value * (1 - (1 - rest) * saturation)
    sectors = [
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    ]
    chosen = turns.astype(int) % 6
    return np.stack([np.choose(chosen, [sector[channel] for sector in sectors]) for channel in range(3)], axis=1)


@pytest.fixture
def colours(images: Tensor) -> Tensor:
    """Made images and 12,288 further colours, close to grey, coarse and dark among them."""
    generator = torch.Generator().manual_seed(0)
    extra = torch.randint(0, 256, (12, 3, 32, 32), generator=generator)
    extra[3:6] = extra[3:6, :1] + torch.randint(-2, 3, (3, 3, 32, 32), generator=generator)
    extra[6:9] = extra[6:9] // 60 * 60
    extra[9:12] //= 40
    return torch.cat((images, extra.clamp(0, 255).byte()))


@pytest.mark.parametrize("shift", SHIFTS)
def test_brightness_equals_the_reference(colours: Tensor, shift: float) -> None:
    hue, saturation, value = to_hsv(colours.numpy() / 255.0)
    expected = np.uint8(np.clip(to_rgb(hue, saturation, np.clip(value + shift, 0, 1)), 0, 1) * 255)
    assert np.array_equal(weather.brightness(colours, shift, dtype=F64).numpy(), expected)


@pytest.mark.parametrize(("factor", "shift"), SATURATIONS)
def test_saturate_equals_the_reference(colours: Tensor, factor: float, shift: float) -> None:
    hue, saturation, value = to_hsv(colours.numpy() / 255.0)
    expected = np.uint8(np.clip(to_rgb(hue, np.clip(saturation * factor + shift, 0, 1), value), 0, 1) * 255)
    assert np.array_equal(digital.saturate(colours, factor, shift, dtype=F64).numpy(), expected)


def test_reference_agrees_with_the_standard_library() -> None:
    rgb = np.random.default_rng(1).random((1, 3, 16, 16))
    ours = np.stack(to_hsv(rgb), axis=1)[0].reshape(3, -1).T
    theirs = [colorsys.rgb_to_hsv(*pixel) for pixel in rgb[0].reshape(3, -1).T]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(to_rgb(*to_hsv(rgb)), rgb, atol=1e-12)


def test_float32_stays_within_one_level(colours: Tensor) -> None:
    single, double = (weather.brightness(colours, 0.15, dtype=each).int() for each in (F32, F64))
    assert (single - double).abs().max() <= 1
