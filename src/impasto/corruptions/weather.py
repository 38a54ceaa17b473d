"""Weather of -C: fog and brightness (Hendrycks and Dietterich, ICLR 2019, section 4.1)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.hsv import change_hsv
from impasto.corruptions.pixels import truncate, unit

_WOBBLE = 100.0  # w at the coarsest level; a level adds w U(-w, w)


@corruption()
def brightness(images: Tensor, shift: float, *, dtype: torch.dtype) -> Tensor:
    """Add ``shift`` to the value V of HSV and clip."""
    return change_hsv(images, value=lambda v: v.add_(shift).clamp_(0, 1), dtype=dtype)


def draw_fog(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Uniforms in (0, 1) for each point of the smallest grid of side 2**k over the image, float64 [B, N, N]."""
    side = 1 << (max(size) - 1).bit_length()
    return rng.uniforms(side * side).view(-1, side, side)


@corruption(draw=draw_fog)
def fog(images: Tensor, uniforms: Tensor, density: float, decay: float, *, dtype: torch.dtype) -> Tensor:
    """Add ``density`` times a plasma fractal, then scale by m / (m + density), m the brightest value of the image."""
    x = unit(images, dtype)
    brightest = unit(images.amax(dim=(1, 2, 3), keepdim=True), dtype)
    haze = plasma(uniforms.to(dtype), decay)[:, None, : x.shape[2], : x.shape[3]] * density
    return truncate((x + haze).mul_(brightest).div_(brightest + density))


def plasma(uniforms: Tensor, decay: float) -> Tensor:
    """Diamond-square fractals on a torus, scaled to [0, 1].

    Every point is the mean of its four neighbours on the level above, plus w U(-w, w): the amplitude is w squared,
    and w falls by the factor ``decay`` from level to level.

    Args:
        uniforms: float [B, N, N] in [0, 1), N a power of two; each point of the grid uses its own ([0, 0] is unused).
        decay: above 1.

    Returns:
        Float [B, N, N], minimum 0 and maximum 1.
    """
    side = uniforms.shape[-1]
    wobble = _wobbles(side, decay, uniforms.dtype, uniforms.device)
    noise = (uniforms * (2 * wobble)).sub_(wobble).mul_(wobble)
    grid = noise.new_zeros(len(noise), 1, 1)
    while (step := side // grid.shape[1]) >= 2:
        grid = _refined(grid, noise[:, :: step // 2, :: step // 2])
    grid -= grid.amin(dim=(1, 2), keepdim=True)
    return grid.div_(grid.amax(dim=(1, 2), keepdim=True))


def _refined(grid: Tensor, noise: Tensor) -> Tensor:
    """The next level [B, 2n, 2n] from [B, n, n], plus ``noise`` [B, 2n, 2n] at the new points.

    Neighbours are added in pairs, in the benchmark's order.
    """
    result = torch.empty_like(noise, memory_format=torch.contiguous_format)
    (old, across), (down, centres) = _interleaved(result)
    (_, noise_across), (noise_down, noise_centres) = _interleaved(noise)
    old.copy_(grid)
    pairs = grid + grid.roll(-1, 1)
    middle = (pairs + pairs.roll(-1, 2)).mul_(0.25).add_(noise_centres)
    centres.copy_(middle)
    torch.add((middle + middle.roll(1, 1)).add_(grid + grid.roll(-1, 2)).mul_(0.25), noise_across, out=across)
    torch.add((middle + middle.roll(1, 2)).add_(pairs).mul_(0.25), noise_down, out=down)
    return result


def _interleaved(grid: Tensor) -> list[tuple[Tensor, ...]]:
    """Views of the points of [B, 2n, 2n] in even and odd rows, and in even and odd columns of these: [B, n, n]."""
    side = grid.shape[1] // 2
    quarters = grid.unflatten(2, (side, 2)).unflatten(1, (side, 2)).permute(2, 4, 0, 1, 3)
    return [half.unbind(0) for half in quarters.unbind(0)]


@lru_cache(maxsize=8)
def _wobbles(side: int, decay: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The amplitude w of the level at which each point is set, [side, side]."""
    wobbles = torch.zeros(side, side, dtype=dtype)
    step, wobble = side, _WOBBLE
    while step >= 2:
        half = step // 2
        wobbles[half::step, half::step] = wobbles[::step, half::step] = wobbles[half::step, ::step] = wobble
        step, wobble = half, wobble / decay
    return wobbles.to(device)
