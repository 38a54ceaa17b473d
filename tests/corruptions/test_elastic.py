"""Elastic transform against OpenCV and scipy with the same draws."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from impasto.corruptions import elastic
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.elastic import ElasticDraws, elastic_transform
from impasto.corruptions.tables import TABLES

F64, F32 = torch.float64, torch.float32
SETTINGS = [("cifar", (32, 32)), ("cifar", (17, 40)), ("tin", (64, 64)), ("imagenet", (96, 80))]
Array = NDArray[np.float32]


def snapped(image: Array, matrix: NDArray[np.float64]) -> Array:
    """OpenCV's interpolation at positions that are rounded to 2**-10 and then to 2**-5 pixels, as before version 5."""
    rows, columns = image.shape[:2]
    inverse = cv2.invertAffineTransform(matrix)
    along = [np.rint(inverse[axis, 0] * np.arange(columns) * 1024).astype(int) for axis in (0, 1)]
    down = [np.rint((inverse[axis, 1] * np.arange(rows) + inverse[axis, 2]) * 1024).astype(int) for axis in (0, 1)]
    x, y = ((d[:, None] + a + 16) >> 5 for a, d in zip(along, down, strict=True))
    whole = np.stack((x >> 5, y >> 5), axis=-1).astype(np.int16)
    parts = ((y & 31) * 32 + (x & 31)).astype(np.uint16)
    return np.asarray(cv2.remap(image, whole, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def reference(image: NDArray[np.uint8], anchors: NDArray[np.float64], fields: NDArray[np.float64],
              alpha: float, sigma: float, affine: float, snap: bool) -> NDArray[np.uint8]:  # fmt: skip
    x: Array = image.transpose(1, 2, 0).astype(np.float32) / np.float32(255)
    height, width = x.shape[:2]
    middle, reach = np.array([width // 2, height // 2]), min(height, width) // 3
    points = np.float32([middle + reach, [middle[0] + reach, middle[1] - reach], middle - reach])  # type: ignore[arg-type]
    matrix = cv2.getAffineTransform(points, points + (anchors * affine).astype(np.float32))
    exact = cv2.warpAffine(x, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    x = snapped(x, matrix) if snap else np.asarray(exact)
    if alpha:
        dx, dy = (ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=3) * alpha for field in fields)
        rows, columns = np.mgrid[:height, :width]
        at = (rows + dy.astype(np.float32), columns + dx.astype(np.float32))
        x = np.stack([ndimage.map_coordinates(x[..., k], at, order=1, mode="reflect") for k in range(3)], axis=-1)
    return np.uint8(np.clip(x, 0, 1) * 255).transpose(2, 0, 1)  # type: ignore[attr-defined, no-any-return]


def draws_for(count: int, size: tuple[int, int]) -> ElasticDraws:
    generator = np.random.default_rng(3)
    anchors, fields = generator.uniform(-1, 1, (count, 3, 2)), generator.uniform(-1, 1, (count, 2, *size))
    return ElasticDraws(torch.from_numpy(anchors), torch.from_numpy(fields))


@pytest.mark.parametrize("snap", [True, False], ids=["snapped", "exact"])
@pytest.mark.parametrize(("table", "size"), SETTINGS)
def test_equals_opencv_but_for_last_bits(images: Tensor, table: str, size: tuple[int, int], snap: bool) -> None:
    if size != (32, 32):
        images = functional.interpolate(images[:10].float(), size=size, mode="bilinear").byte()
    draws = draws_for(len(images), size)
    for parameters in TABLES[table]["elastic_transform"]:
        result = elastic_transform(images, draws, *parameters, dtype=F64, snap=snap).numpy()
        inputs = zip(images.numpy(), draws.anchors.numpy(), draws.fields.numpy(), strict=True)
        expected = np.stack([reference(*each, *parameters, snap) for each in inputs])
        difference = np.abs(result.astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 1e-4


def test_float32_stays_within_one_level(images: Tensor) -> None:
    draws = draws_for(len(images), (32, 32))
    for parameters in TABLES["cifar"]["elastic_transform"]:
        single, double = (elastic_transform(images, draws, *parameters, dtype=each).int() for each in (F32, F64))
        assert (single - double).abs().max() <= 1


def test_snapping_moves_values_by_few_levels(real_images: Tensor) -> None:
    draws = draws_for(len(real_images), (32, 32))
    old, new = (elastic_transform(real_images, draws, 0, 0, 2.56, dtype=F64, snap=snap).int() for snap in (True, False))
    assert 1 < (old - new).abs().max() <= 6


def test_smoothing_has_the_same_bits_in_any_batch() -> None:
    fields = torch.rand(33, 2, 32, 32, dtype=F64, generator=torch.Generator().manual_seed(1)).mul_(2).sub_(1)
    together = elastic._smooth(fields, 1.92)
    alone = torch.cat([elastic._smooth(each[None], 1.92) for each in fields])
    assert torch.equal(together, alone)
    expected = [[ndimage.gaussian_filter(field, 1.92, mode="reflect", truncate=3) for field in pair] for pair in fields]
    assert np.abs(together.numpy() - np.array(expected)).max() < 3e-8


def test_draws_are_uniform_and_independent() -> None:
    anchors, fields = elastic.draw_elastic(CounterRng(1, torch.arange(400)), (16, 20), ())
    assert anchors.shape == (400, 3, 2)
    assert fields.shape == (400, 2, 16, 20)
    for values in (anchors, fields):
        assert values.abs().max() < 1
        assert abs(values.mean().item()) < 0.05
        assert values.square().mean().item() == pytest.approx(1 / 3, rel=0.05)
    assert abs((fields[:, 0] * fields[:, 1]).mean().item()) < 0.005
