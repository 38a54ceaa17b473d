"""Weather of -C: fog and brightness (Hendrycks and Dietterich, ICLR 2019, section 4.1)."""

from __future__ import annotations

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
    brightest = x.amax(dim=(1, 2, 3), keepdim=True)
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
    grid = torch.zeros_like(uniforms)
    step, wobble = uniforms.shape[-1], _WOBBLE
    while step >= 2:
        _squares(grid, uniforms, step, wobble)
        _diamonds(grid, uniforms, step, wobble)
        step, wobble = step // 2, wobble / decay
    grid -= grid.amin(dim=(1, 2), keepdim=True)
    return grid.div_(grid.amax(dim=(1, 2), keepdim=True))


def _squares(grid: Tensor, uniforms: Tensor, step: int, wobble: float) -> None:
    """Set the centre of each square from its four corners."""
    half = step // 2
    corners = grid[:, ::step, ::step]
    pairs = corners + corners.roll(-1, dims=1)
    _set(grid[:, half::step, half::step], pairs + pairs.roll(-1, dims=2), uniforms[:, half::step, half::step], wobble)


def _diamonds(grid: Tensor, uniforms: Tensor, step: int, wobble: float) -> None:
    """Set the middle of each edge from its two ends and the two centres beside it."""
    half = step // 2
    centres, corners = grid[:, half::step, half::step], grid[:, ::step, ::step]
    across = (centres + centres.roll(1, dims=1)) + (corners + corners.roll(-1, dims=2))
    down = (centres + centres.roll(1, dims=2)) + (corners + corners.roll(-1, dims=1))
    _set(grid[:, ::step, half::step], across, uniforms[:, ::step, half::step], wobble)
    _set(grid[:, half::step, ::step], down, uniforms[:, half::step, ::step], wobble)


def _set(target: Tensor, neighbours: Tensor, uniforms: Tensor, wobble: float) -> None:
    noise = (uniforms * (2 * wobble)).sub_(wobble).mul_(wobble)
    target.copy_(neighbours.div_(4).add_(noise))
