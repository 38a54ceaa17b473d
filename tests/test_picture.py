"""Contact sheets pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ImpastoError
from impasto.picture import GAP, grid, write_png


@pytest.mark.parametrize(("columns", "rows", "magnify"), [(1, 1, 1), (3, 2, 1), (2, 4, 3)])
def test_every_pixel_stands_in_its_place(columns: int, rows: int, magnify: int) -> None:
    height, width = 5, 4
    batches = [
        torch.randint(255, (rows, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(c))
        for c in range(columns)
    ]
    sheet = grid(batches, magnify)
    wanted = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for column, batch in enumerate(batches):
        for row, image in enumerate(batch):
            top, left = row * (height + GAP), column * (width + GAP)
            wanted[top : top + height, left : left + width] = image.permute(1, 2, 0).numpy()
    wanted = np.kron(wanted, np.ones((magnify, magnify, 1), np.uint8))
    assert sheet.dtype == np.uint8 and np.array_equal(sheet, wanted)


@pytest.mark.parametrize(("width", "factor"), [(16, 4), (28, 2), (32, 2), (64, 1), (224, 1)])
def test_small_images_are_magnified_to_64_pixels_and_large_ones_are_not(width: int, factor: int) -> None:
    image = torch.zeros(1, 3, 4, width, dtype=torch.uint8)
    assert grid([image]).shape == (4 * factor, width * factor, 3)


def test_a_png_comes_back(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "a" / "sheet.png", pixels)
    with Image.open(tmp_path / "a" / "sheet.png") as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), pixels)
    (tmp_path / "file").write_text("")
    with pytest.raises(ImpastoError, match="cannot write"):
        write_png(tmp_path / "file" / "sheet.png", pixels)
