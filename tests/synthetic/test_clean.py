"""Background cleaning by its formula, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.rng import generator
from impasto.synthetic.clean import clean, share_even, tolerance_for


def reference(image: np.ndarray, tolerance: int) -> np.ndarray:
    """One image [3, H, W], pixel by pixel."""
    _, height, width = image.shape
    frame = [(y, x) for y in range(height) for x in range(width) if min(y, x, height - 1 - y, width - 1 - x) < 2]
    background = []
    for channel in image:
        values = sorted(int(channel[y, x]) for y, x in frame)
        background.append(values[(len(values) - 1) // 2])

    def near(y: int, x: int) -> bool:
        return all(abs(int(image[c, y, x]) - background[c]) <= tolerance for c in range(3))

    out = image.copy()

    def lone(y: int, x: int) -> bool:
        around = [(v, u) for v in (y - 1, y, y + 1) for u in (x - 1, x, x + 1) if (v, u) != (y, x)]
        return all(near(v, u) for v, u in around if 0 <= v < height and 0 <= u < width)

    if tolerance and sum(near(y, x) for y, x in frame) >= 0.9 * len(frame):
        for y in range(height):
            for x in range(width):
                if near(y, x) or lone(y, x):
                    out[:, y, x] = background
    return out


def noisy(spread: int, seed: int, outliers: int = 0) -> Tensor:
    source = generator(seed, "test")
    ground = torch.tensor([200, 60, 120])[:, None, None] + torch.randint(
        -spread, spread + 1, (3, 9, 11), generator=source
    )
    ground[:, 3:6, 4:7] = torch.randint(256, (3, 3, 3), generator=source)
    ground[:, 0, :outliers] = 0
    return ground.clamp(0, 255).to(torch.uint8)


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 9), st.integers(0, 1000))
def test_equals_the_formula(spread: int, tolerance: int, outliers: int, seed: int) -> None:
    image = noisy(spread, seed, outliers)
    expected = reference(image.numpy(), tolerance)
    assert np.array_equal(clean(image[None], tolerance)[0].numpy(), expected)


def test_noise_goes_and_the_shape_stays() -> None:
    shape = torch.full((1, 3, 16, 16), 90, dtype=torch.uint8)
    shape[:, 0, 5:11, 5:11] = 250
    noise = torch.randint(-10, 11, shape.shape, generator=generator(0, "test"))
    painted = (shape + noise * (shape[:, :1] == 90)).to(torch.uint8)
    cleaned = clean(painted, 24)
    assert torch.equal(cleaned[:, :, 5:11, 5:11], shape[:, :, 5:11, 5:11])
    assert cleaned[0, :, 0, 0].short().sub(90).abs().max() <= 2
    assert len(cleaned[0].flatten(1).unique(dim=1)[0]) == 2


def test_tolerance_zero_and_uneven_borders_change_nothing() -> None:
    images = torch.randint(256, (4, 3, 16, 16), generator=generator(0, "test")).to(torch.uint8)
    slope = torch.arange(0, 256, 8, dtype=torch.uint8).expand(1, 3, 32, 32)
    assert torch.equal(clean(images, 24), images)
    assert torch.equal(clean(slope, 24), slope)
    assert torch.equal(clean(noisy(5, 0)[None], 0), noisy(5, 0)[None])


def test_an_image_alone_is_an_image_of_a_batch() -> None:
    images = torch.stack([noisy(spread, spread) for spread in (0, 5, 30)])
    assert torch.equal(torch.cat([clean(image[None], 12) for image in images]), clean(images, 12))
    assert torch.equal(clean(clean(images, 12), 12), clean(images, 12))


@pytest.mark.parametrize(("even", "expected"), [(3, 24), (1, 0)])
def test_only_where_the_training_images_are_even(even: int, expected: int) -> None:
    images = torch.stack([noisy(0, 0)] * even + [noisy(20, 0)] * (4 - even))
    assert share_even(images) == even / 4
    assert tolerance_for(images, 24) == expected
