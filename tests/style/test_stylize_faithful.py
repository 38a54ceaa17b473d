"""Painting as the paper's code does it: what is resampled how, what is clamped when, what is left unpainted."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from style_doubles import RandomEncoder, pictures
from torch import Tensor, nn

from impasto.config.style import Difference
from impasto.rng import generator
from impasto.style.bank import StyleBank, encode_styles
from impasto.style.stylize import UNPAINTED, Stylizer


class Constant(nn.Module):
    """Stands for a decoder without a bounded output."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, features: Tensor) -> Tensor:
        return self.picture.expand(len(features), -1, -1, -1)


@pytest.fixture
def bank(encoder: RandomEncoder, styles: Tensor) -> StyleBank:
    return encode_styles(styles, encoder)


def _picture(side: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(1, 3, side, side, generator=generator(0, "test-picture"))


def _paint(
    picture: Tensor,
    encoder: RandomEncoder,
    bank: StyleBank,
    images: Tensor,
    style: int = 0,
    faithful: tuple[Difference, ...] = get_args(Difference),
) -> Tensor:
    painter = Stylizer(encoder, Constant(picture), bank, faithful=faithful)
    return painter(images, torch.full((len(images),), style), torch.ones(len(images)))


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8)


def test_32_px_images_keep_one_pixel_of_49(encoder: RandomEncoder, bank: StyleBank) -> None:
    picture = _picture(224)
    painted = _paint(picture, encoder, bank, pictures(2, 32))
    assert torch.equal(painted, _bytes(picture[..., 3::7, 3::7]).expand(2, -1, -1, -1))


def test_64_px_images_mix_two_pixels_each_way_and_no_more(encoder: RandomEncoder, bank: StyleBank) -> None:
    """Pixel i of 64 lies at 3.5 i + 1.25 of 224: even ones a quarter, odd ones three quarters between two."""
    picture, weights = _picture(224), torch.zeros(64, 224)
    at = 3.5 * torch.arange(64) + 1.25
    rows = torch.arange(64)
    weights[rows, at.long()], weights[rows, at.long() + 1] = 1 - at.frac(), at.frac()
    expected = weights @ picture @ weights.T
    found = _paint(picture, encoder, bank, pictures(1, 64)).float() / 255
    assert (found - expected).abs().max() < 0.51 / 255


def test_values_are_clamped_after_shrinking_and_not_before(encoder: RandomEncoder, bank: StyleBank) -> None:
    picture = _picture(224, -2, 3)
    small = nn.functional.interpolate(picture, size=(64, 64), mode="bilinear")
    clamped_first = nn.functional.interpolate(picture.clamp(0, 1), size=(64, 64), mode="bilinear")
    found = _paint(picture, encoder, bank, pictures(1, 64))
    assert torch.equal(found, _bytes(small)) and not torch.equal(found, _bytes(clamped_first))
    assert found.min() == 0 and found.max() == 255


def test_images_without_a_style_are_resampled_only(encoder: RandomEncoder, bank: StyleBank) -> None:
    """32 px come back bit for bit; white noise of 64 px is blurred by .054, as was measured of the paper's code."""
    small = pictures(3, 32)
    assert torch.equal(_paint(_picture(224), encoder, bank, small, UNPAINTED), small)
    noise = torch.randint(0, 256, (4, 3, 64, 64), generator=generator(0, "test-noise"), dtype=torch.uint8)
    change = (_paint(_picture(224), encoder, bank, noise, UNPAINTED).float() - noise.float()).abs().mean() / 255
    assert float(change) == pytest.approx(0.054, abs=0.0015)


def test_each_image_is_painted_or_not(encoder: RandomEncoder, bank: StyleBank) -> None:
    images, picture = pictures(6, 32), _picture(224)
    painter = Stylizer(encoder, Constant(picture), bank, faithful=get_args(Difference), chunk=4)
    styles = torch.tensor([0, UNPAINTED, 2, UNPAINTED, UNPAINTED, 4])
    painted = painter(images, styles, torch.full((6,), 0.7))
    left = styles == UNPAINTED
    assert torch.equal(painted[left], images[left])
    assert torch.equal(painted[~left], _bytes(picture[..., 3::7, 3::7]).expand(3, -1, -1, -1))


def test_each_difference_comes_alone(encoder: RandomEncoder, bank: StyleBank) -> None:
    """``left_out`` shrinks with antialiasing what it resamples; ``aliased`` paints every image."""
    picture, images = _picture(224), pictures(1, 32)
    whole = _paint(picture, encoder, bank, images, faithful=())
    assert torch.equal(_paint(picture, encoder, bank, images, faithful=("left_out", "groups")), whole)
    kept = _paint(picture, encoder, bank, images, UNPAINTED, ("left_out",))
    back = nn.functional.interpolate(images.float() / 255, size=(224, 224), mode="bilinear")
    assert torch.equal(kept, _bytes(nn.functional.interpolate(back, size=(32, 32), mode="bilinear", antialias=True)))
    assert not torch.equal(kept, images), "antialiasing blurs what comes back"
    assert torch.equal(_paint(picture, encoder, bank, images, faithful=("aliased",)), _bytes(picture[..., 3::7, 3::7]))


def test_the_default_averages_what_it_shrinks(encoder: RandomEncoder, bank: StyleBank) -> None:
    picture, images = _picture(224), pictures(1, 32)
    ours = Stylizer(encoder, Constant(picture), bank)(images, torch.zeros(1, dtype=torch.int64), torch.ones(1))
    assert ours.float().std() < 0.4 * _paint(picture, encoder, bank, images).float().std()
