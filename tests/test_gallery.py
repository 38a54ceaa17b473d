"""The gallery: every cell shows what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.corruptions.registry import corrupt
from impasto.gallery import CELL, GAP, gallery, scene

NAMES = ("contrast", "jpeg_compression", "fog")


@pytest.mark.parametrize(("size", "times", "table"), [(32, 3, "cifar"), (64, 2, "tin"), (100, 1, "tin")])
def test_every_cell_is_the_corrupted_image_enlarged(size: int, times: int, table: str) -> None:
    image = scene(size)
    sheet = gallery(image, NAMES, seed=3, table=table)
    step = size * times + GAP
    left, top = sheet.shape[1] - 6 * step, sheet.shape[0] - len(NAMES) * step
    assert size * times >= CELL > size * (times - 1) and left > 0 and top > 0
    batch = torch.from_numpy(image.copy())[None]
    for row, name in enumerate(NAMES):
        for column in range(6):
            cell = batch if column == 0 else corrupt(batch, name, column, 3, torch.zeros(1, dtype=torch.int64), table)
            want = cell[0].permute(1, 2, 0).numpy().repeat(times, 0).repeat(times, 1)
            y, x = top + row * step, left + column * step
            assert np.array_equal(sheet[y : y + size * times, x : x + size * times], want)


def test_rows_and_columns_have_titles() -> None:
    sheet = gallery(scene(32), NAMES, seed=0, table="cifar")
    step = 96 + GAP
    left, top = sheet.shape[1] - 6 * step, sheet.shape[0] - len(NAMES) * step
    titles = [sheet[:top, left + n * step : left + (n + 1) * step] for n in range(6)]
    names = [sheet[top + n * step : top + (n + 1) * step, :left] for n in range(len(NAMES))]
    for group in (titles, names):
        assert all((part < 128).any() for part in group)
        assert len({part.tobytes() for part in group}) == len(group)
    assert all((part[:, -GAP:] == 255).all() for part in names), "no name runs into the pictures"


@pytest.mark.parametrize("size", [16, 32, 64, 224])
def test_the_drawn_image_has_flat_parts_edges_texture_and_colours(size: int) -> None:
    image = scene(size)
    assert image.shape == (3, size, size) and image.dtype == np.uint8 and np.array_equal(image, scene(size))
    assert image.max() > 220 and image.min() < 60 and image.std((1, 2)).min() > 30
