"""Flip and crop equal torchvision's, image by image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import functional

from impasto.augment import geometry
from impasto.augment.geometry import CropDraws
from impasto.rng import generator


def images_of(n: int, height: int, width: int) -> Tensor:
    return torch.randint(1, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator(0, "images"))


def torchvision_result(image: Tensor, flip: bool, down: int, right: int, padding: int) -> Tensor:
    flipped = functional.hflip(image) if flip else image
    padded = functional.pad(flipped, [padding])
    return functional.crop(padded, down + padding, right + padding, *image.shape[-2:])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.integers(0, 10**6))
def test_equals_torchvision_flip_pad_crop(n: int, height: int, width: int, padding: int, seed: int) -> None:
    images, draws = images_of(n, height, width), geometry.draw(n, padding=padding, generator=generator(seed, "crop"))
    before = images.clone()
    rows = zip(images, *(column.tolist() for column in draws), strict=True)
    expected = torch.stack([torchvision_result(*row, padding) for row in rows])
    assert torch.equal(geometry.apply(images, draws), expected)
    assert torch.equal(images, before)


def test_the_flip_comes_before_the_crop() -> None:
    image = torch.tensor([[[[1, 2, 3, 4]]]], dtype=torch.uint8)
    draws = CropDraws(torch.tensor([True]), torch.tensor([0]), torch.tensor([1]))
    assert geometry.apply(image, draws).flatten().tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_an_image_does_not_depend_on_its_batch(dtype: torch.dtype) -> None:
    images, draws = images_of(40, 32, 32).to(dtype), geometry.draw(40, padding=4, generator=generator(1, "crop"))
    together = geometry.apply(images, draws)
    alone = [geometry.apply(images[i : i + 1], draws.rows(torch.tensor([i]))) for i in range(40)]
    assert together.dtype == dtype
    assert torch.equal(together, torch.cat(alone))


def test_draws_are_uniform() -> None:
    n = 81 * 2 * 60
    draws = geometry.draw(n, padding=4, generator=generator(2, "crop"))
    cell = ((draws.down + 4) * 9 + draws.right + 4) * 2 + draws.flip
    counts = cell.bincount()
    assert len(counts) == 162
    assert stats.chisquare(counts.numpy()).pvalue > 0.001


@pytest.mark.parametrize(("flip", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_flip_can_be_never_or_always_and_padding_zero_crops_nothing(flip: float, share: float) -> None:
    draws = geometry.draw(100, padding=0, flip=flip, generator=generator(3, "crop"))
    assert draws.flip.float().mean() == share
    assert not draws.down.any() and not draws.right.any()


def test_draws_replay() -> None:
    first, again, other = (geometry.draw(50, padding=4, generator=generator(seed, "crop")) for seed in (4, 4, 5))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.down, other.down)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_bytes() -> None:
    images, draws = images_of(64, 32, 32), geometry.draw(64, padding=4, generator=generator(6, "crop"))
    assert torch.equal(geometry.apply(images.cuda(), draws).cpu(), geometry.apply(images, draws))
