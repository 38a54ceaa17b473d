"""Glass blur of -C: pixels that trade places with near neighbours, between two Gaussian blurs."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from impasto.corruptions.blur import gaussian_blur
from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng


def draw_glass(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Displacements of each pixel in each iteration: uniform integers in [0, 4 d d), int64 [B, iterations, H, W].

    See :func:`shuffle` for what they stand for. One 16-bit draw is shared out to as many pixels as its bits allow.
    """
    reach, iterations = int(parameters[1]), int(parameters[2])
    choices, count = 4 * reach * reach, iterations * size[0] * size[1]
    bits = next((bits for bits in (2, 4, 8) if 2**bits % choices == 0), 16)
    halves = rng.halves(-(-count // (16 // bits)))
    parts = torch.empty(len(halves), 16 // bits, halves.shape[1], dtype=torch.int64, device=halves.device)
    for part in range(16 // bits):
        torch.bitwise_right_shift(halves, bits * part, out=parts[:, part])
    cells = parts.bitwise_and_(2**bits - 1)
    if choices < 2**bits:
        cells.mul_(choices).bitwise_right_shift_(bits)
    return cells.flatten(1)[:, :count].view(-1, iterations, *size)


@corruption(draw=draw_glass, integer=True)
def glass_blur(images: Tensor, cells: Tensor, sigma: float, reach: float, iterations: float) -> Tensor:
    """Blur, cut to bytes, shuffle pixels within ``reach``, ``iterations`` times over, and blur again.

    Args:
        images: uint8 [B, 3, H, W].
        cells: int64 [B, iterations, H, W] in [0, 4 ``reach``**2), see :func:`shuffle`.
        sigma: of both Gaussian blurs, in pixels. They work in float64 whatever the working precision: cutting to
            bytes before the shuffle would carry a last bit to a pixel that is nowhere near.
        reach: in pixels.
        iterations: as in ``cells``, at least 1.
    """
    assert cells.shape[1] == iterations, "one set of displacements for each iteration"
    source = shuffle(cells[:, 0], int(reach))
    for iteration in range(1, int(iterations)):
        source = source.gather(1, shuffle(cells[:, iteration], int(reach)))
    blurred = gaussian_blur(images, sigma, dtype=torch.float64).flatten(2)
    shuffled = blurred.gather(2, source[:, None].expand(-1, 3, -1)).view(images.shape)
    return gaussian_blur(shuffled, sigma, dtype=torch.float64)


def shuffle(cells: Tensor, reach: int) -> Tensor:
    """Where each pixel comes from when all copy a near neighbour one after the other.

    From the last pixel to the first, rows and columns ``reach`` + 1 to ``side - reach``, each takes the value that
    its neighbour has at that time. A neighbour further on has been overwritten already, so its own source is what
    counts; such chains are followed to their ends all at once, by doubling.

    Args:
        cells: integers [B, H, W]; k stands for a displacement by k // 2d - d rows and k % 2d - d columns, d the reach.
        reach: d, at least 1.

    Returns:
        Flat positions of the sources, int64 [B, H W].
    """
    height, width = cells.shape[1:]
    position = _positions(height, width, cells.device)
    source = position.expand(len(cells), -1, -1).clone()
    inside = (slice(None), slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    cell = cells[inside]
    # (k // 2d - d) W + k % 2d - d
    rows = torch.div(cell, 2 * reach, rounding_mode="floor") if reach & (reach - 1) else cell >> reach.bit_length()
    source[inside] += rows.mul_(width - 2 * reach).add_(cell).sub_(reach * (width + 1))
    source, position = source.flatten(1), position.view(-1)
    if reach == 1:  # no displacement points further on
        return source
    end = torch.maximum(source, position)
    while True:
        further = end.gather(1, end)
        if torch.equal(further, end):
            return source.gather(1, end)
        end = further


@lru_cache(maxsize=8)
def _positions(height: int, width: int, device: torch.device) -> Tensor:
    return torch.arange(height * width, device=device).view(height, width)
