"""The two pictures: what stands where, and that they stay bounded."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from impasto.explain.sheets import DPI, SIDE, STEP, Looked, Panel, heading, maps_sheet, ranked_sheet, short


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(BytesIO(png)).convert("RGB"))


def plain(*colour: int) -> np.ndarray:
    return np.full((8, 8, 3), colour, np.uint8)


def place(sheet: np.ndarray, colour: tuple[int, ...]) -> tuple[float, float, int]:
    """Middle of a colour, as (row, column), and how many pixels have it."""
    y, x = np.nonzero((sheet == colour).all(-1))
    return float(y.mean()), float(x.mean()), len(y)


RED, GREEN, BLUE, CYAN = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255)


def test_easy_stands_on_the_left_and_the_first_comes_first() -> None:
    """Two classes; a missing image leaves its place empty, so that hard ones stay below each other."""
    rows = [("a", [Panel(plain(*RED)), Panel(plain(*GREEN))], [Panel(plain(*BLUE))]), ("b", [], [Panel(plain(*CYAN))])]
    sheet = pixels(ranked_sheet(rows, 2))
    at = {colour: place(sheet, colour) for colour in (RED, GREEN, BLUE, CYAN)}
    assert at[RED][0] == at[GREEN][0] == at[BLUE][0] < at[CYAN][0]
    assert at[RED][1] < at[GREEN][1] < at[BLUE][1] == at[CYAN][1]
    assert at[GREEN][1] - at[RED][1] == pytest.approx(STEP * DPI, abs=2)
    for _, _, area in at.values():
        assert area == pytest.approx((SIDE * DPI) ** 2, rel=0.05)


def looked(value: int, maps: dict[str, np.ndarray]) -> Looked:
    image = np.full((3, 8, 8), value, np.uint8)
    image[0] = 255
    return Looked(image, "a", "b", 0.5, maps, dict.fromkeys(maps, "words"))


def test_images_keep_their_colours_and_a_map_stands_the_right_way_up() -> None:
    map_ = np.zeros((4, 4), np.float32)
    map_[0, 3] = 1
    image, twin = looked(0, {"attention_8": map_}), looked(100, {"attention_8": map_})
    sheet = pixels(maps_sheet([(image, twin)]))
    first, second = place(sheet, (255, 0, 0)), place(sheet, (255, 100, 100))
    assert first[0] == second[0] and first[1] < second[1], "channels in order, the twin on the right"
    top, left = round(first[0] - SIDE * DPI / 2), round(first[1] - SIDE * DPI / 2 + STEP * DPI)
    side = round(SIDE * DPI)
    over = sheet[top : top + side, left : left + side].sum(-1).astype(float)
    half = side // 2
    quarters = {
        (a, b): over[a * half : (a + 1) * half, b * half : (b + 1) * half].mean() for a in (0, 1) for b in (0, 1)
    }
    assert max(quarters, key=lambda one: quarters[one]) == (0, 1)


def test_without_maps_the_images_stand_alone() -> None:
    sheet = pixels(maps_sheet([(looked(0, {}), looked(100, {}))]))
    assert place(sheet, (255, 0, 0))[2] and place(sheet, (255, 100, 100))[2]


def test_size_does_not_grow_with_the_images_and_bytes_repeat() -> None:
    draws = np.random.default_rng(0)
    sizes = []
    for side in (32, 224):
        noise = [Panel(draws.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(8)]
        made = [ranked_sheet([("a", noise[:4], noise[4:])], 4) for _ in range(2)]
        assert made[0] == made[1]
        sizes.append(pixels(made[0]).shape)
    assert sizes[0] == sizes[1]


def test_names_are_text() -> None:
    """Dollars are no formula, long names are cut, and underscores stay."""
    rows = [("$x_1$ ^ {", [Panel(plain(*RED), "12 % → $\\alpha")], [])]
    assert place(pixels(ranked_sheet(rows, 1)), RED)[2]
    assert short("a" * 30) == "a" * 15 + "…" and short("a" * 11, 10) == "a" * 9 + "…" and short("a_b") == "a_b"
    assert heading("attention_16") == "attention,\nstride 16" and heading("grad_cam") == "Grad-CAM"
