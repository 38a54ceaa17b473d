from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.errors import ImpastoError
from impasto.rng import numpy_generator
from impasto.style.palettes import oklch_to_srgb, palette
from impasto.style.procedural import contrast, procedural_styles
from impasto.style.textures import FAMILIES, Texture


def test_the_same_seed_draws_the_same_bytes() -> None:
    assert torch.equal(procedural_styles(9, 24, 0.08, 3), procedural_styles(9, 24, 0.08, 3))


def test_every_image_differs_between_seeds_and_from_the_others() -> None:
    first, second = procedural_styles(16, 24, 0.08, 0), procedural_styles(16, 24, 0.08, 1)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len({image.numpy().tobytes() for image in torch.cat([first, second])}) == 32


def test_a_larger_bank_begins_with_the_smaller_one() -> None:
    assert torch.equal(procedural_styles(20, 16, 0.08, 5)[:7], procedural_styles(7, 16, 0.08, 5))


def test_shape_type_and_contrast() -> None:
    images = procedural_styles(16, 20, 0.12, 0)
    assert images.shape == (16, 3, 20, 20) and images.dtype == torch.uint8
    spread = (images.double() / 255).flatten(2).std(2, correction=0).mean(1)
    assert spread.min() >= 0.12


def test_flat_images_are_drawn_again() -> None:
    lax, strict = procedural_styles(64, 16, 0.0, 0), procedural_styles(64, 16, 0.2, 0)
    flat = np.array([contrast(image.permute(1, 2, 0).numpy()) < 0.2 for image in lax])
    changed = np.array([not torch.equal(a, b) for a, b in zip(lax, strict, strict=True)])
    assert 0 < flat.sum() < 64
    assert (changed == flat).all()


def test_a_contrast_out_of_reach_is_an_error() -> None:
    with pytest.raises(ImpastoError, match=r"0\.6.*style\.min_std"):
        procedural_styles(1, 8, 0.6, 0)


@pytest.mark.parametrize("texture", FAMILIES, ids=lambda texture: texture.__name__)
@pytest.mark.parametrize("side", [16, 33])
def test_every_family_draws_finite_pictures_of_any_side(texture: Texture, side: int) -> None:
    for seed in range(6):
        rng = numpy_generator(seed, "test-texture")
        picture = texture(rng, side, palette(rng))
        assert picture.shape == (side, side, 3) and picture.dtype == np.float32
        assert np.isfinite(picture).all() and picture.clip(0, 1).std() > 0.01


def test_oklch_matches_published_colours() -> None:
    # White, and the sRGB primaries in OKLCH as given with the definition of the space.
    lightness, chroma = np.array([1.0, 0.62796, 0.86644, 0.45201]), np.array([0.0, 0.25768, 0.29483, 0.31321])
    hue = np.array([0.0, 29.234, 142.495, 264.052]) / 360
    expected = [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(oklch_to_srgb(lightness, chroma, hue), expected, atol=0.01)


def test_palettes_run_from_dark_to_light() -> None:
    colours = palette(numpy_generator(0, "test-palette"), 6)
    luma = colours @ np.array([0.299, 0.587, 0.114])
    assert colours.shape == (6, 3) and luma[-1] - luma[0] > 0.3
