"""Spatter and its parts against OpenCV and scipy with the same draws."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from impasto.corruptions.chamfer import ONE, chamfer_distance
from impasto.corruptions.edges import canny
from impasto.corruptions.spatter import spatter, water_shine
from impasto.corruptions.tables import TABLES

Bytes = NDArray[np.uint8]
SETTINGS = [("cifar", (32, 32), 200), ("cifar", (17, 40), 100), ("tin", (64, 64), 60), ("imagenet", (224, 224), 4)]


def drops(count: int, size: tuple[int, int], std: float, sigma: float, threshold: float = 0.69) -> Bytes:
    noise = np.random.default_rng(7).normal(0.65, std, (count, *size))
    layer = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="nearest")
    return (layer * (layer >= threshold) * 255).astype(np.int32).astype(np.uint8)


def batch_last(x: Bytes) -> Tensor:
    return torch.from_numpy(x).permute(1, 2, 0).contiguous()


def batch_first(x: Tensor) -> NDArray[np.int64]:
    return x.permute(2, 0, 1).long().numpy()


def shine_of_opencv(layer: Bytes) -> NDArray[np.float32]:
    distance = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
    depth = cv2.blur(np.minimum(distance, np.float32(20)), (3, 3)).astype(np.uint8)
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], dtype=np.float32)
    return cv2.blur(cv2.filter2D(cv2.equalizeHist(depth), cv2.CV_8U, emboss), (3, 3)).astype(np.float32)


def reference(image: Bytes, normals: NDArray[np.float64], mean: float, std: float, sigma: float,
              threshold: float, strength: float, mud: float) -> Bytes:  # fmt: skip
    x = image.astype(np.float32) / np.float32(255)
    layer = ndimage.gaussian_filter(mean + std * normals, sigma, mode="nearest", truncate=4)
    layer[layer < threshold] = 0
    if mud:
        cover = ndimage.gaussian_filter((layer > threshold).astype(np.float32), strength, mode="nearest", truncate=4)
        cover[cover < 0.8] = 0
        x, colour = x * (1 - cover), (63, 42, 20)
    else:
        layer = (layer * 255).astype(np.int32).astype(np.uint8)
        cover = layer * shine_of_opencv(layer)
        cover, colour = cover / (cover.max() or 1) * np.float32(strength), (175, 238, 238)
    x = np.stack([plane + cover * np.float32(shade / 255) for plane, shade in zip(x, colour, strict=True)])
    return np.uint8(np.clip(x, 0, 1) * 255)  # type: ignore[return-value]


@pytest.mark.parametrize(("table", "size", "count"), SETTINGS)
def test_equals_opencv_but_for_some_values_in_a_million(table: str, size: tuple[int, int], count: int) -> None:
    images = torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for severity, parameters in enumerate(TABLES[table]["spatter"], start=1):
        normals = np.random.default_rng(severity).standard_normal((count, *size))
        result = spatter(images, torch.from_numpy(normals), *parameters).numpy()
        inputs = zip(images.numpy(), normals, strict=True)
        expected = np.stack([reference(*each, *parameters) for each in inputs])
        difference = np.abs(result.astype(int) - expected)
        assert difference.max() <= 1, f"severity {severity}"
        assert (difference > 0).mean() <= 1e-4, f"severity {severity}"
        assert (expected != images.numpy()).mean() > 0.01


@pytest.mark.parametrize("size", [(32, 32), (17, 40), (64, 64), (150, 130)])
def test_edges_equal_canny(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (20, *size)).astype(np.uint8)
    ramps = np.add.outer(np.arange(size[0]) * 5, np.arange(size[1]) * 9).astype(np.uint8)[None]
    for layers in (noise, ramps, noise // 128 * 60, drops(40, size, 0.3, 1), drops(40, size, 0.1, 0.7)):
        expected = np.stack([cv2.Canny(layer, 50, 150) for layer in layers])
        assert np.array_equal(batch_first(canny(batch_last(layers), 50, 150)) * 255, expected)


def test_weak_edges_are_followed_to_the_end() -> None:
    layer = np.zeros((1, 40, 400), dtype=np.uint8)
    layer[0, 20:] = 25
    layer[0, 20:, :6] = 60  # the only strong part of an edge of 400 pixels
    edges = batch_first(canny(batch_last(layer), 50, 150))[0]
    assert np.array_equal(edges * 255, cv2.Canny(layer[0], 50, 150))
    assert edges[:, 390:].any()
    layer[0, 20:, :6] = 25
    assert not canny(batch_last(layer), 50, 150).any()


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (90, 70)])
@pytest.mark.parametrize("density", [0, 0.001, 0.02, 0.3])
def test_distance_equals_opencv(size: tuple[int, int], density: float) -> None:
    marked = (np.random.default_rng(2).random((12, *size)) < density).astype(np.uint8)
    result = batch_first(chamfer_distance(batch_last(marked), 20)) / ONE
    exact = np.stack([np.minimum(cv2.distanceTransform(1 - each, cv2.DIST_L2, 5), 20) for each in marked])
    # With IPP OpenCV adds float32 steps, as here; without, its steps are rounded to 2**-16.
    assert np.abs(result - exact).max() <= (4e-6 if cv2.ipp.useIPP() else 2e-4)


def test_shine_equals_opencv_in_every_byte() -> None:
    if not cv2.ipp.useIPP():
        pytest.skip("this OpenCV measures distances without IPP")
    for layers in (drops(300, (32, 32), 0.3, 1), drops(20, (64, 64), 0.3, 4, 0.66), drops(300, (32, 32), 0.1, 0.7)):
        expected = np.stack([shine_of_opencv(layer) for layer in layers])
        assert (batch_first(water_shine(batch_last(layers))) != expected).mean() < 1e-5


def test_nothing_above_the_threshold_leaves_the_image(images: Tensor) -> None:
    for parameters in TABLES["cifar"]["spatter"]:
        normals = torch.full((len(images), 32, 32), -3.0)
        assert torch.equal(spatter(images, normals, *parameters), images)


def test_a_thickness_above_white_wraps_as_in_the_benchmark() -> None:
    image, normals = torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1, 32, 32, dtype=torch.float64)
    normals[:, 8:20, 8:20] = 3
    parameters = TABLES["cifar"]["spatter"][2]
    expected = reference(image[0].numpy(), normals[0].numpy(), *parameters)
    assert np.array_equal(spatter(image, normals, *parameters)[0].numpy(), expected)


def test_an_image_does_not_see_its_neighbours() -> None:
    layers = drops(40, (32, 32), 0.3, 1)
    layers[3] = 0
    together = water_shine(batch_last(layers))
    for row in range(len(layers)):
        assert torch.equal(together[..., row : row + 1], water_shine(batch_last(layers[row : row + 1])))
