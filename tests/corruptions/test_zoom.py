"""Zoom blur against enlargements by scipy.ndimage.zoom."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from impasto.corruptions.tables import SIDES, TABLES
from impasto.corruptions.zoom import zoom_blur, zoom_crop, zoom_factors, zoom_taps

ZOOMS = [(table, severity) for table in TABLES for severity in range(5)]
_SMALL = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))
ENDS = {
    "cifar": _SMALL,
    "tin": _SMALL,
    "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
}


def enlarge(x: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge a centre crop of [H, W, C] and trim it to its old size."""
    height, width = x.shape[:2]
    rows, columns = (int(np.ceil(side / factor)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    large = ndimage.zoom(x[top : top + rows, left : left + columns], (factor, factor, 1), order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def mean_of_enlargements(images: Tensor, factors: np.ndarray, dtype: type) -> np.ndarray:
    """The benchmark's sum in its order, [B, C, H, W] times 255."""
    result = []
    for image in images.permute(0, 2, 3, 1).numpy():
        x = (image / 255.0).astype(dtype)
        total = np.zeros_like(x)
        for factor in factors:
            total += enlarge(x, factor)
        result.append(np.clip((x + total) / dtype(len(factors) + 1), 0, 1) * 255)
    return np.stack(result).transpose(0, 3, 1, 2)


def some_images(side: tuple[int, int], count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, *side), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)


@pytest.mark.parametrize(("table", "severity"), ZOOMS)
def test_zoom_blur_is_the_mean_of_enlargements(table: str, severity: int) -> None:
    side = SIDES[table]
    batch, parameters = some_images((side, side), 4 if side == 32 else 1), TABLES[table]["zoom_blur"][severity]
    factors = np.arange(1, *ENDS[table][severity])
    assert np.array_equal(zoom_factors(*parameters), factors)
    result = zoom_blur(batch, *parameters).numpy()
    exact = mean_of_enlargements(batch, factors, np.float64)
    # Equal but for means that lie on a grey level up to rounding noise.
    differs = result != np.uint8(exact)
    assert np.abs(exact - np.rint(exact))[differs].max(initial=0) < 1e-9
    benchmark = np.uint8(mean_of_enlargements(batch, factors, np.float32)).astype(int)  # it works in float32
    assert np.abs(result - benchmark).max() <= 1
    assert (result != benchmark).mean() < 2e-3


def test_on_real_images_few_values_differ(real_images: Tensor) -> None:
    for step, count in TABLES["cifar"]["zoom_blur"]:
        benchmark = np.uint8(mean_of_enlargements(real_images[:20], zoom_factors(step, count), np.float32)).astype(int)
        difference = zoom_blur(real_images[:20], step, count).numpy() - benchmark
        assert np.abs(difference).max() <= 1
        assert (difference != 0).mean() < 0.01


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (33, 18)])
def test_any_size(size: tuple[int, int]) -> None:
    batch = some_images(size, 2)
    for step, count in ((0.01, 26), (0.03, 11)):
        exact = mean_of_enlargements(batch, zoom_factors(step, count), np.float64)
        result = zoom_blur(batch, step, count).numpy()
        assert np.abs(exact - np.rint(exact))[result != np.uint8(exact)].max(initial=0) < 1e-9


@pytest.mark.parametrize("factor", [1, 1.01, 1.25, 1.75, 2.25, 2.5, 3, 4, 4.5])
@pytest.mark.parametrize("length", [16, 17, 32, 47, 224])
def test_taps_are_those_of_scipy(length: int, factor: float) -> None:
    line = np.random.default_rng(1).random(length)
    first, weight = zoom_taps(length, factor)
    crop, start = zoom_crop(length, factor)
    assert start <= first.min() and first.max() + 1 < start + crop
    expected = enlarge(np.stack([line[:, None]] * length, axis=1), factor)[:, 0, 0]
    np.testing.assert_allclose(line[first] * (1 - weight) + line[first + 1] * weight, expected, atol=1e-12)


def test_flat_images_stay_as_they_are() -> None:
    levels = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32).contiguous()
    for step, count in {*TABLES["cifar"]["zoom_blur"], *TABLES["imagenet"]["zoom_blur"]}:
        assert torch.equal(zoom_blur(levels, step, count), levels)


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (32, 32), (64, 64)])
def test_one_image_alone_gives_the_same_bytes(size: tuple[int, int]) -> None:
    batch = some_images(size, 257)
    together = zoom_blur(batch, 0.01, 16)
    for row in (0, 1, 128, 256):
        one = slice(row, row + 1)
        assert torch.equal(zoom_blur(batch[one], 0.01, 16), together[one])
    assert torch.equal(zoom_blur(batch[:5], 0.01, 16), together[:5])
