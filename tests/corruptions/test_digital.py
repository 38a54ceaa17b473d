"""Contrast against numpy, pixelate and JPEG against Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto.corruptions.digital import contrast
from impasto.corruptions.jpeg import jpeg_compression
from impasto.corruptions.pixelate import pixelate
from impasto.corruptions.tables import TABLES

FACTORS = sorted({parameters[0] for table in TABLES.values() for parameters in table["pixelate"]})
QUALITIES = sorted({int(parameters[0]) for table in TABLES.values() for parameters in table["jpeg_compression"]})


def to_pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())


def from_pillow(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("factor", [0.75, 0.3, 0.05])
def test_contrast_is_its_formula(images: Tensor, factor: float) -> None:
    x = images.numpy() / 255.0
    mean = x.mean(axis=(2, 3), keepdims=True)
    expected = np.clip((x - mean) * factor + mean, 0, 1) * 255
    result = contrast(images, factor, dtype=torch.float64).numpy()
    # numpy sums in another order, which shows where a value lies on a grey level up to rounding noise.
    differs = result != np.uint8(expected)
    assert np.abs(expected - np.rint(expected))[differs].max(initial=0) < 1e-9
    assert np.abs(result - expected).max() < 1 + 1e-9


def test_contrast_keeps_flat_colours() -> None:
    flat = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 20, 20)
    assert (contrast(flat, 1.0, dtype=torch.float64).int() - flat.int()).abs().max() == 0


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (224, 224), (16, 16), (28, 45)])
@pytest.mark.parametrize("factor", FACTORS)
def test_pixelate_equals_pillow(size: tuple[int, int], factor: float) -> None:
    height, width = size
    batch = torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
    for image, result in zip(batch, pixelate(batch, factor), strict=True):
        small = to_pillow(image).resize((int(width * factor), int(height * factor)), Image.Resampling.BOX)
        assert torch.equal(result, from_pillow(small.resize((width, height), Image.Resampling.BOX)))


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (17, 45)])
@pytest.mark.parametrize("quality", QUALITIES)
def test_jpeg_equals_pillow(size: tuple[int, int], quality: int) -> None:
    generator = torch.Generator().manual_seed(8)
    coarse = torch.rand(3, 3, 6, 6, generator=generator)
    batch = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").mul(255).byte()
    batch[2] = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    for image, result in zip(batch, jpeg_compression(batch, quality), strict=True):
        buffer = io.BytesIO()
        to_pillow(image).save(buffer, "JPEG", quality=quality)
        assert torch.equal(result, from_pillow(Image.open(buffer)))
