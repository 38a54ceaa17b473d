"""A map over its image: the right way up, on the stated scale, in the stated colours."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from impasto.explain.overlay import DARKEST, LIGHTEST, OPACITY, enlarged, overlay, tinted

BLACK = np.zeros((3, 32, 48), np.uint8)


def bilinear(map_: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixel by pixel: a position's value stands in the middle of its cell, and beyond the outermost as there."""
    h, w = map_.shape
    found = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y, x = (i + 0.5) * h / height - 0.5, (j + 0.5) * w / width - 0.5
            y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
            top, left = min(int(y), h - 2), min(int(x), w - 2)
            a, b = y - top, x - left
            rows = [(1 - b) * map_[r, left] + b * map_[r, left + 1] for r in (top, top + 1)]
            found[i, j] = (1 - a) * rows[0] + a * rows[1]
    return found


def test_enlarging_is_bilinear() -> None:
    map_ = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    np.testing.assert_allclose(enlarged(map_, 32, 48), bilinear(map_, 32, 48), atol=1e-6)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 5), (3, 0), (2, 4)])
def test_a_high_position_is_bright_at_its_own_place(row: int, column: int) -> None:
    map_ = np.zeros((4, 6), np.float32)
    map_[row, column] = 0.02
    brightness = overlay(BLACK, map_).sum(-1)
    y, x = np.unravel_index(brightness.argmax(), brightness.shape)
    assert (y // 8, x // 8) == (row, column)


def test_colours_run_from_nothing_to_the_highest_value() -> None:
    """Attention of 1/24 everywhere is as high as it gets; a scaled map looks the same; zeros are the lowest colour."""
    colours = [np.array(colormaps["inferno"](value)[:3]) for value in (0.0, 1.0)]
    ground = (1 - OPACITY) * DARKEST
    for value, colour in zip((0.0, 1 / 24), colours, strict=True):
        found = overlay(BLACK, np.full((4, 6), value, np.float32))
        assert (found == np.rint(255 * (OPACITY * colour + ground))).all()
    map_ = np.random.default_rng(1).random((4, 6)).astype(np.float32)
    np.testing.assert_array_equal(overlay(BLACK, map_), overlay(BLACK, 8 * map_))


def test_the_colour_rises_in_brightness_over_any_ground() -> None:
    """A perceptually uniform scale: brighter is higher, whatever the image shows."""
    for grey in (0.0, 0.5, 1.0):
        row = tinted(np.linspace(0, 1, 64), np.full(64, grey)) @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(row) > 0).all() and row[-1] > row[0] + 100


def test_the_image_shows_through_and_its_colour_does_not() -> None:
    """Red and a grey of the same luminance give the same; white is lighter than black."""
    red, grey, white = (np.zeros((3, 8, 8), np.uint8) for _ in range(3))
    red[0], grey[:], white[:] = 200, round(0.299 * 200), 255
    map_ = np.ones((4, 4), np.float32)
    assert np.abs(overlay(red, map_).astype(int) - overlay(grey, map_)).max() <= 1
    assert (
        overlay(white, map_) > overlay(np.zeros_like(white), map_) + 255 * (1 - OPACITY) * (LIGHTEST - DARKEST) - 2
    ).all()
    assert overlay(red, map_).dtype == np.uint8 and overlay(red, map_).shape == (8, 8, 3)
