"""Gaussian blur of -C.

Sums are taken tap by tap in a fixed order, with elementwise operations alone: a flat area lands exactly on a grey
level, and truncation would turn the rounding noise of a matrix product, which varies with batch size and device,
into a difference of a whole level. Inside, the batch of small images is the last axis, so that shifted views stay long
contiguous runs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.pixels import truncate, unit

_VERTICAL, _HORIZONTAL = 1, 2  # axes of [3, H, W, B]
_WIDE = 128  # pixels, above which a row is a long enough run by itself


@corruption()
def gaussian_blur(images: Tensor, sigma: float, *, dtype: torch.dtype) -> Tensor:
    """Separable Gaussian of ``sigma`` pixels, cut at 4 sigma, edges replicated; sums in scipy.ndimage's order."""
    if images.shape[3] >= _WIDE:
        return truncate(smooth(unit(images.flatten(0, 1)[..., None], dtype), sigma)).view(images.shape)
    return _batch_first(truncate(smooth(unit(_batch_last(images), dtype), sigma)))


def smooth(x: Tensor, sigma: float, border: str = "nearest") -> Tensor:
    """The Gaussian of :func:`gaussian_blur` on floats [C, H, W, B], with a border as in :func:`extend`."""
    weights = gaussian_taps(sigma, int(4 * sigma + 0.5))
    for axis in (_VERTICAL, _HORIZONTAL):
        x = _correlate(extend(x, axis, len(weights) - 1, border), axis, weights)
    return x


def gaussian_taps(sigma: float, reach: int) -> list[float]:
    """Weights of the taps 0, 1 .. reach on either side, summing to 1 over the whole kernel."""
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 / sigma**2 * offsets**2)
    return list((weights / weights.sum())[reach:].tolist())


def _batch_last(images: Tensor) -> Tensor:
    return images.permute(1, 2, 3, 0).contiguous()


def _batch_first(images: Tensor) -> Tensor:
    return images.permute(3, 0, 1, 2).contiguous()


def extend(x: Tensor, axis: int, reach: int, border: str) -> Tensor:
    """Add ``reach`` positions at both ends: the edge again, over and over (``nearest``), or what lies beside it.

    That is mirrored about the outermost position (``reflect``), or about the border itself (``symmetric``; at most
    the length of the axis).
    """
    length = x.shape[axis]
    if border == "reflect" and reach >= length:
        index = torch.arange(-reach, length + reach, device=x.device).remainder_(2 * length - 2)
        return x.index_select(axis, torch.minimum(index, 2 * length - 2 - index))
    result = x.new_empty([side + 2 * reach * (each == axis) for each, side in enumerate(x.shape)])
    result.narrow(axis, reach, length).copy_(x)
    if border == "nearest":
        before, after = x.narrow(axis, 0, 1), x.narrow(axis, length - 1, 1)
    else:
        skipped = 1 if border == "reflect" else 0
        before, after = (x.narrow(axis, start, reach).flip(axis) for start in (skipped, length - skipped - reach))
    result.narrow(axis, 0, reach).copy_(before)
    result.narrow(axis, reach + length, reach).copy_(after)
    return result


def _correlate(x: Tensor, axis: int, weights: list[float]) -> Tensor:
    """Correlate an extended axis with a symmetric kernel: the centre first, then pairs from the outside inwards."""
    reach = len(weights) - 1
    length = x.shape[axis] - 2 * reach
    total = x.narrow(axis, reach, length) * weights[0]
    pair, one = torch.empty_like(total), torch.ones((), dtype=x.dtype, device=x.device)
    for step in range(reach, 0, -1):
        torch.add(x.narrow(axis, reach - step, length), x.narrow(axis, reach + step, length), out=pair)
        _add_product(total, pair, weights[step], one)
    return total


def _add_product(total: Tensor, values: Tensor, weight: float, one: Tensor) -> None:
    """Add ``weight`` times ``values``, which may be overwritten, with the product rounded before the sum is.

    ``add_(alpha=)`` rounds once. So does ``addcmul_``, but after it has rounded weight times 1st factor: with 1 as
    the other factor that is the wanted result, in one pass over memory. CUDA orders the factors otherwise.
    """
    if total.is_cuda:
        total.add_(values.mul_(weight))
    else:
        total.addcmul_(values, one, value=weight)
