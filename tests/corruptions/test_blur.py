"""Blurs against scipy.ndimage."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from impasto.corruptions.blur import gaussian_blur
from impasto.corruptions.defocus import defocus_blur, defocus_kernel
from impasto.corruptions.tables import TABLES

F64, F32 = torch.float64, torch.float32
SIGMAS = sorted({parameters[0] for table in TABLES.values() for parameters in table["gaussian_blur"]})
DISKS = sorted({parameters for table in TABLES.values() for parameters in table["defocus_blur"]})


@pytest.mark.parametrize("sigma", SIGMAS)
def test_gaussian_blur_equals_scipy_bit_for_bit(images: Tensor, sigma: float) -> None:
    x = images.numpy() / 255.0
    blurred = ndimage.gaussian_filter(x, sigma=(0, 0, sigma, sigma), mode="nearest", truncate=4.0)
    expected = np.uint8(np.clip(blurred, 0, 1) * 255)
    assert np.array_equal(gaussian_blur(images, sigma, dtype=F64).numpy(), expected)


@pytest.mark.parametrize(("radius", "smoothing"), DISKS)
def test_defocus_blur_equals_direct_correlation(images: Tensor, radius: float, smoothing: float) -> None:
    kernel = defocus_kernel(radius, smoothing).astype(np.float64)
    blurred = ndimage.correlate(images.numpy() / 255.0, kernel[None, None], mode="mirror")
    expected = np.clip(blurred, 0, 1) * 255
    result = defocus_blur(images, radius, smoothing, dtype=F64).numpy()
    # Equal but for values that lie on a grey level up to rounding noise.
    differs = result != np.uint8(expected)
    assert np.abs(expected - np.rint(expected))[differs].max(initial=0) < 1e-5
    assert differs.mean() < 1e-3
    assert np.abs(result.astype(int) - expected).max() < 1 + 1e-5


def test_disk_below_one_pixel_is_the_smoothing_alone() -> None:
    line = np.exp(-0.5 * (np.arange(-1, 2) / 0.5) ** 2)
    line /= line.sum()
    np.testing.assert_allclose(defocus_kernel(0.4, 0.5), np.outer(line, line), rtol=1e-6)


def test_disk_without_smoothing_is_flat() -> None:
    kernel = defocus_kernel(2.5, 0.01)
    rows, columns = np.mgrid[-2:3, -2:3]
    inside = rows**2 + columns**2 <= 2.5**2
    np.testing.assert_allclose(kernel, inside / inside.sum(), rtol=1e-6)


def test_disk_that_touches_its_grid_mirrors_the_smoothing() -> None:
    disk = np.array([[r * r + c * c <= 64 for c in range(-8, 9)] for r in range(-8, 9)], dtype=float)
    smooth = ndimage.gaussian_filter(disk / disk.sum(), 0.5, mode="mirror", radius=1)
    np.testing.assert_allclose(defocus_kernel(8, 0.5), smooth, atol=1e-8)


@pytest.mark.parametrize("size", [(16, 16), (17, 40)])
def test_kernels_wider_than_the_image(size: tuple[int, int]) -> None:
    batch = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(9), dtype=torch.uint8)
    x = batch.numpy() / 255.0
    gaussian = ndimage.gaussian_filter(x, sigma=(0, 0, 6, 6), mode="nearest", truncate=4.0)
    assert np.array_equal(gaussian_blur(batch, 6, dtype=F64).numpy(), np.uint8(gaussian * 255))
    defocus = ndimage.correlate(x, defocus_kernel(10, 0.5).astype(float)[None, None], mode="mirror")
    assert np.array_equal(defocus_blur(batch, 10, 0.5, dtype=F64).numpy(), np.uint8(np.clip(defocus, 0, 1) * 255))


def test_float32_stays_within_one_level(images: Tensor) -> None:
    for single, double in (
        (gaussian_blur(images, 0.8, dtype=F32), gaussian_blur(images, 0.8, dtype=F64)),
        (defocus_blur(images, 1, 0.2, dtype=F32), defocus_blur(images, 1, 0.2, dtype=F64)),
    ):
        assert (single.int() - double.int()).abs().max() <= 1


@pytest.mark.parametrize(("radius", "smoothing"), [(3, 0.1), (6, 0.5), (8, 0.5), (10, 0.5)])
@pytest.mark.parametrize("size", [(32, 32), (17, 40), (64, 64)])
def test_large_disks_do_not_depend_on_the_batch(size: tuple[int, int], radius: float, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(3)
    batch = torch.randint(0, 256, (33, 3, *size), generator=generator, dtype=torch.uint8)
    batch[5], batch[6] = batch[5, :, :1, :1], 255
    together = defocus_blur(batch, radius, smoothing, dtype=F64)
    for row in range(len(batch)):
        assert torch.equal(defocus_blur(batch[row : row + 1], radius, smoothing, dtype=F64)[0], together[row])
