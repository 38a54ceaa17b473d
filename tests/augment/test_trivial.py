"""TrivialAugment on batches equals torchvision's on single uint8 images, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

from impasto.augment import trivial
from impasto.augment.levels import BINS
from impasto.augment.trivial import Op, TrivialDraws
from impasto.rng import generator

SPACE = list(TrivialAugmentWide()._augmentation_space(BINS).items())


def torchvision_result(image: Tensor, op: int, magnitude_bin: int, sign: int) -> Tensor:
    name, (magnitudes, signed) = SPACE[op]
    magnitude = float(magnitudes[magnitude_bin]) if magnitudes.ndim else 0.0
    return _apply_op(image, name, sign * magnitude if signed else magnitude, InterpolationMode.NEAREST, None)


def one_by_one(images: Tensor, draws: TrivialDraws) -> Tensor:
    rows = zip(images, draws.op.tolist(), draws.bin.tolist(), draws.sign.tolist(), strict=True)
    return torch.stack([torchvision_result(*row) for row in rows])


def noise(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Images of several ranges: full noise, a narrow band, a smooth slope, a constant channel."""
    images = torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=generator(seed, "images"))
    images[1::4] = images[1::4] // 5 + 90
    images[2::4] = (torch.arange(height * width) * 255 // (height * width)).view(height, width).to(torch.uint8)
    images[3::4, 1] = 77
    return images


def every_level(op: Op) -> TrivialDraws:
    bins, signs = torch.arange(BINS).repeat(2), torch.tensor([1, -1]).repeat_interleave(BINS)
    return TrivialDraws(torch.full_like(bins, op), bins, signs)


def test_operations_have_torchvisions_names_and_order() -> None:
    assert [op.name.replace("_", "").lower() for op in Op] == [name.lower() for name, _ in SPACE]


@pytest.mark.parametrize("op", list(Op), ids=lambda op: op.name.lower())
@pytest.mark.parametrize("size", [(32, 32), (31, 33), (24, 17), (64, 64), (5, 9), (2, 7), (1, 1)])
def test_every_magnitude_and_sign_equals_torchvision(op: Op, size: tuple[int, int]) -> None:
    draws = every_level(op)
    images = noise(len(draws.op), *size)
    assert torch.equal(trivial.apply(images, draws), one_by_one(images, draws))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(0, 24), size=st.sampled_from([(32, 32), (8, 13)]), seed=st.integers(0, 10**6))
def test_mixed_batches_equal_torchvision(data: st.DataObject, n: int, size: tuple[int, int], seed: int) -> None:
    images, draws = noise(n, *size, seed), trivial.draw(n, generator(seed, "draws"))
    low, high = sorted(data.draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    images = images.clamp(low, high)
    before = images.clone()
    result = trivial.apply(images, draws)
    assert result.dtype == torch.uint8 and result.shape == images.shape
    assert torch.equal(images, before)
    if n:
        assert torch.equal(result, one_by_one(images, draws))


def test_an_image_does_not_depend_on_its_batch() -> None:
    images, draws = noise(60, 32, 32), trivial.draw(60, generator(1, "draws"))
    together = trivial.apply(images, draws)
    alone = [trivial.apply(images[i : i + 1], draws.rows(torch.tensor([i]))) for i in range(60)]
    assert torch.equal(together, torch.cat(alone))
    mask = torch.arange(60) % 3 == 0
    assert torch.equal(trivial.apply(images[mask], draws.rows(mask)), together[mask])


def test_known_results() -> None:
    image = noise(1, 40, 40)

    def result(op: Op, magnitude_bin: int, sign: int) -> Tensor:
        return trivial.apply(image, TrivialDraws(*torch.tensor([[op], [magnitude_bin], [sign]])))

    assert torch.equal(result(Op.ROTATE, 20, 1), image.rot90(1, (2, 3)))  # 20 x 4.5 degrees
    right, up = result(Op.TRANSLATE_X, 30, 1), result(Op.TRANSLATE_Y, 30, -1)  # by 32 px
    assert torch.equal(right[..., 32:], image[..., :8]) and not right[..., :32].any()
    assert torch.equal(up[..., :8, :], image[..., 32:, :]) and not up[..., 8:, :].any()
    assert torch.equal(result(Op.POSTERIZE, 30, 1), image & 0b11000000)
    assert torch.equal(result(Op.SOLARIZE, 30, 1), 255 - image)


def test_channels_last_images_are_accepted() -> None:
    images, draws = noise(30, 16, 16), trivial.draw(30, generator(2, "draws"))
    channels_last = images.to(memory_format=torch.channels_last)
    assert torch.equal(trivial.apply(channels_last, draws), trivial.apply(images, draws))


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8).byte(), torch.zeros(3, 3, 8, 8).byte()]
)
def test_wrong_batches_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        trivial.apply(images, trivial.draw(2, generator(0, "draws")))


def test_draws_are_uniform_and_independent() -> None:
    draws = trivial.draw(868 * 60, generator(3, "draws"))
    assert draws.op.dtype == draws.bin.dtype == draws.sign.dtype == torch.int64
    cell = (draws.op * BINS + draws.bin) * 2 + (draws.sign + 1) // 2
    counts = cell.bincount()
    assert len(counts) == len(Op) * BINS * 2
    assert stats.chisquare(counts.numpy()).pvalue > 0.001
    assert draws.sign.unique().tolist() == [-1, 1]


def test_draws_replay() -> None:
    first, again, other = (trivial.draw(50, generator(seed, "draws")) for seed in (4, 4, 5))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.op, other.op)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_bytes() -> None:
    images, draws = noise(280, 32, 32), trivial.draw(280, generator(6, "draws"))
    assert torch.equal(trivial.apply(images.cuda(), draws).cpu(), trivial.apply(images, draws))
