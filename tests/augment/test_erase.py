"""Random erasing has torchvision's distribution and erases exactly the drawn rectangles."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import RandomErasing, functional

from impasto.augment import erase
from impasto.rng import generator


def images_of(n: int, height: int, width: int) -> Tensor:
    return torch.randint(1, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator(0, "images"))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_erases_the_drawn_rectangles_and_nothing_else(n: int, height: int, width: int, seed: int) -> None:
    images, draws = (
        images_of(n, height, width),
        erase.draw(n, (height, width), p=0.8, generator=generator(seed, "erase")),
    )
    before = images.clone()
    rows = zip(images, *(column.tolist() for column in draws), strict=True)
    expected = torch.stack([functional.erase(image, *box, torch.tensor(0)) for image, *box in rows])
    assert torch.equal(erase.apply(images, draws), expected)
    assert torch.equal(images, before)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(0, 10**6))
def test_rectangles_lie_inside_and_keep_their_bounds(height: int, width: int, seed: int) -> None:
    draws = erase.draw(200, (height, width), p=1.0, generator=generator(seed, "erase"))
    assert min(column.min() for column in draws) >= 0
    assert (draws.top + draws.height <= height).all() and (draws.left + draws.width <= width).all()
    erased = (draws.height > 0) & (draws.width > 0)
    assert (draws.height[erased] < height).all() and (draws.width[erased] < width).all()
    # Each side is rounded by at most half a pixel.
    least, most = ((draws.height + d).clamp(min=0) * (draws.width + d).clamp(min=0) for d in (-0.5, 0.5))
    assert (least[erased] <= 0.4 * height * width).all() and (most[erased] >= 0.02 * height * width).all()


@pytest.mark.parametrize("size", [(32, 32), (12, 40)])
def test_distribution_equals_torchvision(size: tuple[int, int]) -> None:
    n, image = 3000, torch.zeros(3, *size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        boxes = [RandomErasing.get_params(image, (0.02, 0.4), (0.3, 3.3), [0.0])[:4] for _ in range(n)]
    reference = torch.tensor([box for box in boxes if box[2:] != size]).T  # the whole image stands for "no fit"
    draws = erase.draw(n, size, p=1.0, generator=generator(1, "erase"))
    fitted = draws.height > 0
    assert abs(int(fitted.sum()) - reference.shape[1]) <= 5
    for ours, theirs in zip(draws, reference, strict=True):
        assert stats.ks_2samp(ours[fitted].numpy(), theirs.numpy()).pvalue > 0.001


def test_every_position_is_equally_likely() -> None:
    draws = erase.draw(20000, (32, 32), p=1.0, area=(0.25, 0.25), aspect=(1.0, 1.0), generator=generator(2, "erase"))
    assert draws.height.unique().tolist() == draws.width.unique().tolist() == [16]
    cells = (draws.top * 17 + draws.left).bincount(minlength=289)
    assert stats.chisquare(cells.numpy()).pvalue > 0.001


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_p_is_the_share_of_erased_images(p: float) -> None:
    n = 4000
    erased = int((erase.draw(n, (32, 32), p=p, generator=generator(3, "erase")).height > 0).sum())
    low, high = stats.binom.interval(0.999, n, p) if 0 < p < 1 else (n * p, n * p)
    assert low <= erased <= high


def test_an_image_stays_as_it_is_when_no_rectangle_fits() -> None:
    images = images_of(20, 4, 4)
    draws = erase.draw(20, (4, 4), p=1.0, area=(0.95, 1.0), aspect=(0.95, 1.05), generator=generator(4, "erase"))
    assert not draws.height.any() and not draws.width.any()
    assert torch.equal(erase.apply(images, draws), images)


def test_an_image_does_not_depend_on_its_batch() -> None:
    images, draws = images_of(30, 32, 32), erase.draw(30, (32, 32), p=0.5, generator=generator(5, "erase"))
    together = erase.apply(images, draws)
    alone = [erase.apply(images[i : i + 1], draws.rows(torch.tensor([i]))) for i in range(30)]
    assert torch.equal(together, torch.cat(alone))


def test_draws_replay() -> None:
    first, again, other = (erase.draw(50, (32, 32), p=0.5, generator=generator(seed, "erase")) for seed in (6, 6, 7))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.top, other.top)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_bytes() -> None:
    images, draws = images_of(64, 32, 32), erase.draw(64, (32, 32), p=0.5, generator=generator(8, "erase"))
    assert torch.equal(erase.apply(images.cuda(), draws).cpu(), erase.apply(images, draws))
