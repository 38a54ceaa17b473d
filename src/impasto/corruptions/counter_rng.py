"""A counter-based random generator in integer tensor operations: Philox-4x32-10.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A value is a pure function of
(key, image id, lane, position): it does not depend on the batch around the image, on its order, on the process or on
the device. Uniforms and normals come from integers through exact scaling, tables and single products, so their bits
are equal everywhere as well; log and cosine of the device are never asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_RADIUS_BITS, _ANGLE_BITS = 16, 12


def philox(counter: Tensor, key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Encipher counters with Philox-4x32-10.

    Args:
        counter: int64 [4, ...] with values in [0, 2**32); overwritten.
        key: two integers in [0, 2**32).

    Returns:
        The four words of each counter, int64 [...] with values in [0, 2**32).
    """
    c0, c1, c2, c3 = counter.unbind(0)
    spare = torch.empty_like(c0)
    k0, k1 = key
    for _ in range(_ROUNDS):
        # int64 products wrap modulo 2**64, which keeps all 64 bits. c1 and c3 may carry the upper half along:
        # they are only XORed into words that are masked in the next round, or masked on return. All is done in
        # place: fresh memory would cost more than the arithmetic.
        c0.mul_(_MULTIPLIERS[0])
        c2.mul_(_MULTIPLIERS[1])
        torch.bitwise_right_shift(c2, 32, out=spare).bitwise_xor_(c1).bitwise_xor_(k0).bitwise_and_(_LOW)
        torch.bitwise_right_shift(c0, 32, out=c1).bitwise_xor_(c3).bitwise_xor_(k1).bitwise_and_(_LOW)
        c0, c1, c2, c3, spare = spare, c2, c1, c0, c3
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1.bitwise_and_(_LOW), c2, c3.bitwise_and_(_LOW)


@dataclass(frozen=True)
class CounterRng:
    """Random streams of a batch of images, one per image.

    Args:
        key: a 64-bit integer; in this package it is derived from seed, corruption and severity.
        ids: int64 [B], what identifies each image; equal ids give equal streams.

    Every method takes a ``lane``: draws of different lanes are independent, draws of one lane overlap.
    """

    key: int
    ids: Tensor

    def words(self, blocks: int, lane: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Uniform 32-bit words, four times int64 [B, blocks]."""
        counter = torch.empty(4, len(self.ids), blocks, dtype=torch.int64, device=self.ids.device)
        counter[0] = torch.arange(blocks, device=self.ids.device)
        counter[1] = lane
        counter[2] = (self.ids & _LOW)[:, None]
        counter[3] = (self.ids >> 32 & _LOW)[:, None]
        return philox(counter, (self.key & _LOW, self.key >> 32 & _LOW))

    def uniforms(self, count: int, lane: int = 0) -> Tensor:
        """Uniforms in the open interval (0, 1): centres of 2**32 cells, float64 [B, count]."""
        result = self._empty(count, 4, torch.float64)
        for part, word in enumerate(self.words(result.shape[2], lane)):
            result[:, part] = word
        return result.add_(0.5).mul_(2.0**-32).flatten(1)[:, :count]

    def halves(self, count: int, lane: int = 0) -> Tensor:
        """Uniform 16-bit integers, int64 [B, count]: two from each word."""
        result = self._empty(count, 8, torch.int64)
        for part, word in enumerate(self.words(result.shape[2], lane)):
            torch.bitwise_right_shift(word, 16, out=result[:, 2 * part])
            torch.bitwise_and(word, 0xFFFF, out=result[:, 2 * part + 1])
        return result.flatten(1)[:, :count]

    def normals(self, count: int, lane: int = 0) -> Tensor:
        """Standard normals by a tabulated Box-Muller transform, float32 [B, count].

        One word gives two values: 16 bits choose the radius, 12 others the angle. The variance is 1 to float32
        precision, the kurtosis 3 to within 1e-3, and no value exceeds 5.
        """
        result = self._empty(count, 8, torch.float32)
        radii, cosines, sines = _box_muller(self.ids.device)
        for part, word in enumerate(self.words(result.shape[2], lane)):
            radius = _look_up(radii, word >> (32 - _RADIUS_BITS))
            angle = word.bitwise_and_(2**_ANGLE_BITS - 1)
            torch.mul(radius, _look_up(cosines, angle), out=result[:, 2 * part])
            torch.mul(radius, _look_up(sines, angle), out=result[:, 2 * part + 1])
        return result.flatten(1)[:, :count]

    def _empty(self, count: int, per_block: int, dtype: torch.dtype) -> Tensor:
        """Room for at least ``count`` values, [B, per_block, blocks]."""
        return torch.empty(len(self.ids), per_block, -(-count // per_block), dtype=dtype, device=self.ids.device)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.index_select(0, index.reshape(-1)).view(index.shape)


@lru_cache(maxsize=4)
def _box_muller(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Radii, cosines and sines, float32. A radius is the root mean square over its cell of equal probability.

    sqrt(-2 ln u) has the mean square -2 (u ln u - u) between the cell's ends, so the variance is that of the normal.
    """
    edges = np.arange(2**_RADIUS_BITS + 1) / 2**_RADIUS_BITS
    integral = np.zeros_like(edges)
    integral[1:] = 2 * edges[1:] * (1 - np.log(edges[1:]))
    radii = np.sqrt(np.diff(integral) * 2**_RADIUS_BITS)
    angles = (np.arange(2**_ANGLE_BITS) + 0.5) * (2 * np.pi / 2**_ANGLE_BITS)
    radius, cosine, sine = (
        torch.from_numpy(table.astype(np.float32)).to(device) for table in (radii, np.cos(angles), np.sin(angles))
    )
    return radius, cosine, sine
