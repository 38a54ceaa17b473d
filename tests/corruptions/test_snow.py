"""Snow against its formula in numpy, OpenCV and imagecorruptions' motion blur, with the same draws."""

import cv2
import numpy as np
import pytest
import torch
from imagecorruptions import corruptions as peer
from torch import Tensor

from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.snow import SnowDraws, draw_snow, flakes, snow
from impasto.corruptions.tables import SIDES, TABLES
from impasto.corruptions.zoom import zoom_crop

F64, F32 = torch.float64, torch.float32
SNOWS = [(table, each) for table in TABLES for each in TABLES[table]["snow"]]


def layer_of(normals: np.ndarray, mean: float, std: float, factor: float, threshold: float) -> np.ndarray:
    """Flakes before the wind, uint8 [H, W], from normals of the whole layer."""
    height, width = normals.shape
    large = peer.clipped_zoom((normals * std + mean)[..., None], factor)[..., 0]
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    layer = large[top : top + height, left : left + width].copy()
    layer[layer < threshold] = 0
    return np.uint8(np.clip(layer, 0, 1) * 255)


def snow_on(image: np.ndarray, normals: np.ndarray, angle: float, c: tuple[float, ...]) -> np.ndarray:
    """One image [H, W, 3] before truncation, with ImageMagick's motion blur as truncated shift-and-add."""
    x = np.array(image, dtype=np.float32) / np.float32(255)
    layer = peer._motion_blur(layer_of(normals, *c[:4]), int(c[4]), c[5], angle)
    # 1e-6: the peer's weights sum to 1 - 1e-16, which would cost flat flakes a level
    layer = np.floor(layer + 1e-6)[..., None] / 255.0
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    x = c[6] * x + (1 - c[6]) * np.maximum(x, grey * 1.5 + 0.5)
    return np.clip(x + layer + np.rot90(layer, k=2), 0, 1) * 255


def centre(normals: np.ndarray, factor: float) -> np.ndarray:
    """What :class:`SnowDraws` holds of normals [B, H, W]."""
    (rows, top), (columns, left) = (zoom_crop(side, factor) for side in normals.shape[1:])
    return normals[:, top : top + rows, left : left + columns]


@pytest.mark.parametrize(("table", "parameters"), SNOWS)
def test_snow_is_its_formula(images: Tensor, table: str, parameters: tuple[float, ...]) -> None:
    side = SIDES[table]
    generator = np.random.default_rng(6)
    batch = images if side == 32 else torch.from_numpy(generator.integers(0, 256, (3, 3, side, side), dtype=np.uint8))
    normals = generator.normal(size=(len(batch), side, side))
    angles = generator.uniform(-135, -45, len(batch))
    draws = SnowDraws(torch.from_numpy(centre(normals, parameters[2])), torch.from_numpy(angles))
    result = snow(batch, draws, *parameters, dtype=F64)
    pixels = batch.permute(0, 2, 3, 1).numpy()
    expected = np.stack([snow_on(*each, parameters) for each in zip(pixels, normals, angles, strict=True)])
    differs = result.permute(0, 2, 3, 1).numpy() != np.uint8(expected)
    assert np.abs(result.permute(0, 2, 3, 1).numpy() - np.floor(expected)).max() <= 1
    # Equal but for values that lie on a grey level up to the rounding of the benchmark's float32, and some beneath
    # a flake that does so itself.
    assert differs.mean() < 5e-3
    assert (differs & (np.abs(expected - np.rint(expected)) > 1e-4)).mean() < 1e-4
    single = snow(batch, draws, *parameters, dtype=F32).int() - result.int()
    assert single.abs().max() <= 1
    assert (single != 0).double().mean() < 5e-3


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (32, 32), (224, 224)])
@pytest.mark.parametrize("factor", [1, 1.25, 1.75, 2.25, 3, 4, 4.5])
def test_flakes_equal_those_of_scipy(size: tuple[int, int], factor: float) -> None:
    normals = np.random.default_rng(1).normal(size=(1, *size))
    result = flakes(torch.from_numpy(centre(normals, factor)), size, 0.55, 0.3, factor, 0.85)
    expected = layer_of(normals[0], 0.55, 0.3, factor, 0.85)
    assert np.array_equal(result[0, 0].numpy(), expected)
    assert set(np.unique(expected)) <= {0, *range(int(0.85 * 255), 256)}


def test_draws_fit_the_crop_and_the_wind() -> None:
    draws = draw_snow(CounterRng(1, torch.arange(3000)), (17, 40), TABLES["cifar"]["snow"][2])
    assert draws.normals.shape == (3000, 10, 23)
    assert (draws.angles.sort().values - torch.linspace(-135, -45, 3000)).abs().max() < 90 * 1.95 / 3000**0.5
    assert abs(torch.corrcoef(torch.stack((draws.angles, draws.normals[:, 0, 0].double())))[0, 1]) < 0.08


def test_threshold_is_kept_itself() -> None:
    layer = flakes(torch.tensor([[[0.5, 0.0], [0.25, 1.0]]]), (2, 2), 0, 1, 1, 0.5)
    assert layer.tolist() == [[[[127, 0], [0, 255]]]]
