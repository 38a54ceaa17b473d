"""Motion blur against imagecorruptions' shift-and-add, at the same angles."""

import numpy as np
import pytest
import torch
from imagecorruptions import corruptions as peer
from torch import Tensor

from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.motion import draw_angles, motion_blur, motion_weights
from impasto.corruptions.tables import SIDES, TABLES

LINES = [(table, each) for table in TABLES for each in TABLES[table]["motion_blur"]]


def shift_and_add(images: Tensor, angles: Tensor, radius: int, sigma: float) -> np.ndarray:
    """Result of the peer before truncation, float [B, C, H, W]."""
    rows = images.permute(0, 2, 3, 1).numpy()
    result = [peer._motion_blur(x, radius, sigma, float(angle)) for x, angle in zip(rows, angles, strict=True)]
    return np.stack(result).transpose(0, 3, 1, 2)


def edge_repeated(image: np.ndarray, angle: float, radius: int, sigma: float) -> np.ndarray:
    """The same, tap by tap as the docstring says, for lines of any length."""
    taps = np.arange(2 * radius + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    total = np.zeros(image.shape)
    for tap, weight in zip(taps, weights / weights.sum(), strict=True):
        down, right = (int(np.ceil(tap * part(np.deg2rad(angle)) - 0.5)) for part in (np.sin, np.cos))
        rows = np.clip(np.arange(image.shape[1]) + down, 0, image.shape[1] - 1)
        columns = np.clip(np.arange(image.shape[2]) + right, 0, image.shape[2] - 1)
        total += weight * image[:, rows][:, :, columns]
    return total


def assert_truncated(result: Tensor, expected: np.ndarray) -> None:
    """Equal to the truncated values, but for the few that lie on a grey level up to the weights' precision."""
    # The reference's weights sum to 1 up to rounding, which would cost some of its flat areas a level: hence 1e-9.
    difference = result.numpy().astype(int) - np.floor(expected.clip(0, 255) + 1e-9).astype(int)
    assert np.abs(difference).max() <= 1
    assert np.abs(expected - np.rint(expected))[difference != 0].max(initial=0) < 2e-4
    assert (difference != 0).mean() <= 2e-3


@pytest.mark.parametrize(("table", "parameters"), LINES)
def test_motion_blur_equals_shift_and_add(images: Tensor, table: str, parameters: tuple[int, float]) -> None:
    side = SIDES[table]
    generator = torch.Generator().manual_seed(7)
    count = 3 if side > 32 else 8
    batch = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    angles = torch.rand(count, generator=generator, dtype=torch.float64) * 90 - 45
    expected = shift_and_add(batch, angles, *parameters)
    assert_truncated(motion_blur(batch, angles, *parameters), expected)
    if side == 32:
        angles = torch.linspace(-44.9, 45, len(images), dtype=torch.float64)
        assert_truncated(motion_blur(images, angles, *parameters), shift_and_add(images, angles, *parameters))


def test_on_real_images_few_values_differ(real_images: Tensor) -> None:
    batch = real_images[:100]
    angles = draw_angles(CounterRng(1, torch.arange(100)), (32, 32), ())
    for parameters in TABLES["cifar"]["motion_blur"]:
        radius, sigma = parameters
        expected = shift_and_add(batch, angles, int(radius), sigma)
        assert_truncated(motion_blur(batch, angles, radius, sigma), expected)


@pytest.mark.parametrize("size", [(16, 16), (17, 40)])
@pytest.mark.parametrize("angle", [-45.0, -30.5, 0.0, 20.0, 45.0, -90.0, -134.0, 100.0])
def test_lines_longer_than_the_image(size: tuple[int, int], angle: float) -> None:
    batch = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    result = motion_blur(batch, torch.tensor([angle, 3.0], dtype=torch.float64), 20, 15)
    assert_truncated(result[0], edge_repeated(batch[0].numpy(), angle, 20, 15))
    assert_truncated(result[1], edge_repeated(batch[1].numpy(), 3.0, 20, 15))


def test_flat_images_stay_as_they_are() -> None:
    levels = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 16, 16).contiguous()
    angles = torch.linspace(-45, 45, 256, dtype=torch.float64)
    for _, (radius, sigma) in LINES:
        assert torch.equal(motion_blur(levels, angles, radius, sigma), levels)
        assert sum(motion_weights(int(radius), sigma)) == 2**23


def test_a_dot_is_drawn_out_against_the_angle() -> None:
    dot = torch.zeros(3, 3, 31, 31, dtype=torch.uint8)
    dot[:, :, 15, 15] = 255
    right, down, up = motion_blur(dot, torch.tensor([0.0, 90.0, -90.0], dtype=torch.float64), 4, 3)[:, 0].bool()
    assert right.nonzero().tolist() == [[15, column] for column in range(7, 16)]
    assert down.nonzero().tolist() == [[row, 15] for row in range(7, 16)]
    assert up.nonzero().tolist() == [[row, 15] for row in range(15, 24)]


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (33, 47)])
def test_one_image_alone_gives_the_same_bytes(size: tuple[int, int]) -> None:
    batch = torch.randint(0, 256, (257, 3, *size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    angles = torch.linspace(-45, 45, 257, dtype=torch.float64)
    together = motion_blur(batch, angles, 8, 2)
    for row in (0, 1, 128, 256):
        one = slice(row, row + 1)
        assert torch.equal(motion_blur(batch[one], angles[one], 8, 2), together[one])


def test_angles_are_uniform() -> None:
    angles = draw_angles(CounterRng(2, torch.arange(4000)), (32, 32), ())
    assert angles.dtype == torch.float64
    assert (angles.sort().values - torch.linspace(-45, 45, 4000)).abs().max() < 90 * 1.95 / 4000**0.5
