"""Motion blur of -C: a one-sided Gaussian along a line whose angle is drawn for each image.

The weights are whole numbers over 2**23 and the sums int32, hence exact: neither the order of summation nor the
device can show, and a flat area keeps its grey level. Real arithmetic is met to about 1e-5 of a grey level.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng

_WEIGHT_BITS = 23  # with the 8 bits of a byte, the 31 of a positive int32


def draw_angles(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Angles in degrees, uniform in (-45, 45), float64 [B]."""
    return rng.uniforms(1)[:, 0].mul_(90).sub_(45)


@corruption(draw=draw_angles, integer=True)
def motion_blur(images: Tensor, angles: Tensor, radius: float, sigma: float) -> Tensor:
    """Blur along a line: as ImageMagick's MotionBlur, to within one grey level, for x and y along its pixel axes.

    Tap i = 0 .. 2 ``radius`` weighs exp(-i**2 / 2 ``sigma``**2) and reads the pixel (ceil(i cos a - 1/2) to the
    right, ceil(i sin a - 1/2) down); beyond an edge, the edge repeats.

    Args:
        images: uint8 [B, C, H, W].
        angles: float64 [B] in degrees, 0 pointing right and 90 down.
        radius: in pixels; the line is twice as long.
        sigma: in pixels.
    """
    weights = motion_weights(int(radius), sigma)
    parts = _displaced(images, *_offsets(angles, len(weights)))
    total = next(parts) * weights[0]
    for part, weight in zip(parts, weights[1:], strict=True):
        total.add_(part, alpha=weight)
    return total.bitwise_right_shift_(_WEIGHT_BITS).to(torch.uint8)


@lru_cache(maxsize=32)
def motion_weights(radius: int, sigma: float) -> tuple[int, ...]:
    """The taps' weights, summing to 2**23, without those at the far end that round to 0."""
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    whole = np.rint(weights / weights.sum() * 2**_WEIGHT_BITS).astype(np.int64)
    whole[0] += 2**_WEIGHT_BITS - whole.sum()
    return tuple(whole[whole > 0].tolist())


def _offsets(angles: Tensor, taps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns by which each tap is displaced, each int64 [taps, B]; computed on the CPU, for any device."""
    radians = np.deg2rad(angles.cpu().numpy())
    steps = np.arange(taps)[:, None]
    rows, columns = (np.ceil(steps * part - 0.5).astype(np.int64) for part in (np.sin(radians), np.cos(radians)))
    return rows, columns


def _displaced(images: Tensor, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Iterator[Tensor]:
    """For each tap the displaced images, int32 [B, C, H, W], in memory that the next tap takes over."""
    batch, channels, height, width = images.shape
    (top, bottom), (left, right) = ((max(0, -int(each.min())), max(0, int(each.max()))) for each in (rows, columns))
    padded = _extend(images, top, bottom, left, right)
    plane, row = padded.stride()[1:3]
    starts = np.arange(batch) * (channels * plane) + (rows + top) * row + columns + left
    # All windows of the images' size, as overlapping views: an image's displacement is where its window starts.
    windows = padded.as_strided((int(starts.max()) + 1, channels, height, width), (1, plane, row, 1))
    if batch == 1:
        yield from (windows[start : start + 1] for start in starts[:, 0].tolist())
        return
    room = padded.new_empty(images.shape)
    for start in torch.from_numpy(starts).to(images.device):
        yield torch.index_select(windows, 0, start, out=room)


def _extend(images: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Convert to int32 and repeat the edges."""
    batch, channels, height, width = images.shape
    shape = (batch, channels, top + height + bottom, left + width + right)
    padded = torch.empty(shape, dtype=torch.int32, device=images.device)
    middle = padded[:, :, top : top + height]
    middle[..., left : left + width] = images
    middle[..., :left] = middle[..., left : left + 1]
    middle[..., left + width :] = middle[..., left + width - 1 : left + width]
    padded[:, :, :top] = padded[:, :, top : top + 1]
    padded[:, :, top + height :] = padded[:, :, top + height - 1 : top + height]
    return padded
