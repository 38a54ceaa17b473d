"""Glass blur against the sequential loop over pixels, with the same displacements."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.glass import draw_glass, glass_blur, shuffle
from impasto.corruptions.tables import SIDES, TABLES

GLASSES = [(table, each) for table in TABLES for each in TABLES[table]["glass_blur"]]


def shuffle_one_by_one(x: np.ndarray, cells: np.ndarray, reach: int) -> None:
    """Shuffle the pixels of [H, W, C] in place, from the last to the first."""
    height, width = cells.shape
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            down, right = divmod(int(cells[row, column]), 2 * reach)
            # The benchmark means to swap, but both sides are views of one array, so this copies.
            x[row, column] = x[row + down - reach, column + right - reach]


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur [B, H, W, C] to bytes."""
    x = ndimage.gaussian_filter(images / 255.0, sigma=(0, sigma, sigma, 0), mode="nearest", truncate=4.0)
    return np.uint8(np.clip(x, 0, 1) * 255)


def reference(images: Tensor, cells: Tensor, sigma: float, reach: int, iterations: int) -> np.ndarray:
    x = blur(images.permute(0, 2, 3, 1).numpy(), sigma)
    for image, displacements in zip(x, cells.numpy(), strict=True):
        for iteration in range(iterations):
            shuffle_one_by_one(image, displacements[iteration], reach)
    return blur(x, sigma).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("table", "parameters"), GLASSES)
def test_glass_blur_equals_the_sequential_loop_bit_for_bit(
    images: Tensor, table: str, parameters: tuple[float, int, int]
) -> None:
    side = SIDES[table]
    chosen = images[2:22:5] if side == 32 else torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    cells = draw_glass(CounterRng(3, torch.arange(len(chosen))), (side, side), parameters)
    assert np.array_equal(glass_blur(chosen, cells, *parameters).numpy(), reference(chosen, cells, *parameters))


@pytest.mark.parametrize("size", [(16, 16), (17, 40)])
@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_any_size_and_reach(size: tuple[int, int], reach: int) -> None:
    batch = torch.randint(0, 256, (3, 3, *size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    cells = draw_glass(CounterRng(3, torch.arange(3)), size, (0.7, reach, 2))
    assert np.array_equal(glass_blur(batch, cells, 0.7, reach, 2).numpy(), reference(batch, cells, 0.7, reach, 2))


def test_chains_are_followed_to_their_ends() -> None:
    """All look one row up and one column right, but an even row looks two down: long chains and short ones."""
    cells = torch.full((1, 40, 40), 3 * 4 + 3)
    cells[:, ::2] = 0
    cells[:, 9:30, 5:9] = 2 * 4 + 3  # 30 columns of one row, each copying its right neighbour
    cells[:, 20] = 2 * 4 + 3
    positions = np.arange(1600).reshape(40, 40, 1)
    shuffle_one_by_one(positions, cells[0].numpy(), 2)
    source = shuffle(cells, 2)[0].numpy()
    assert np.array_equal(source, positions.ravel())
    assert source[20 * 40 + 3] == 20 * 40 + 39


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_displacements_are_uniform(reach: int) -> None:
    cells = draw_glass(CounterRng(5, torch.arange(50)), (16, 17), (1, reach, 3))
    assert cells.shape == (50, 3, 16, 17)
    choices = 4 * reach * reach
    counts = torch.bincount(cells.flatten(), minlength=choices).double()
    assert len(counts) == choices
    mean = cells.numel() / choices
    assert (counts - mean).square().sum().item() / mean < choices + 5 * (2 * choices) ** 0.5
    # neighbours, iterations and images share 16-bit draws or lie next to each other, and are still independent
    for first, second in ((cells[..., :-1], cells[..., 1:]), (cells[:, 0], cells[:, 1]), (cells[0], cells[1])):
        agreement = (first == second).double()
        assert abs(agreement.mean().item() - 1 / choices) < 4.5 * (1 / choices / agreement.numel()) ** 0.5
