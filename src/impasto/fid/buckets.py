"""Moments of the partly stylised set at every point of the curve, gathered batch by batch.

The points of the curve cut [0, 1) into buckets. An image of bucket b counts plain at the points before number b and
stylised from number b on, and its bucket is known before it is seen. Kept are the sums of the first point and, for
each later one, what changes from the point before it: the bucket's stylised vectors less its plain ones. That is one
matrix per point, the fewest from which all points can be told, for three outer products per image: 32 MB of float64
a point at the 2048 dimensions of Inception, however many images there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from impasto.fid.moments import Moments, wide


class Buckets:
    """Sums over all images for each of P points.

    Args:
        u: [N] in [0, 1); image i is stylised at lambda_s exactly if u_i < lambda_s.
        points: P values of lambda_s in ascending order.

    Raises:
        ValueError: the points do not ascend, or there is none.
    """

    def __init__(self, u: Tensor, points: Sequence[float]) -> None:
        if not points or list(points) != sorted(points):
            raise ValueError(f"points do not ascend: {points}")
        edges = torch.tensor(points, dtype=torch.float64)
        self._bucket = torch.bucketize(u.to("cpu", torch.float64), edges, right=True)
        self._points = len(points)
        self._count = 0
        self._sums = self._outers = torch.empty(0, dtype=torch.float64)  # made where the first vectors are

    def add(self, rows: Tensor, plain: Tensor, stylised: Tensor) -> None:
        """Count some images.

        Args:
            rows: their numbers in ``u``, int64 [B]; each row is added once.
            plain: features of the images as they are, [B, D], any floating type, on any device.
            stylised: features of the same images after stylisation, likewise.

        Raises:
            ValueError: the lengths differ.
        """
        if not len(rows) == len(plain) == len(stylised):
            raise ValueError(f"lengths differ: {len(rows)}, {len(plain)}, {len(stylised)}")
        plain, stylised, bucket = wide(plain), wide(stylised), self._bucket[rows.cpu()]
        if not self._count:
            dimension = plain.shape[1]
            self._sums = plain.new_zeros(self._points, dimension)
            self._outers = plain.new_zeros(self._points, dimension, dimension)
        self._count += len(rows)
        first = torch.where((bucket == 0).to(plain.device)[:, None], stylised, plain)
        self._gather(0, first, 1)
        for number in bucket.unique().tolist():
            if 0 < number < self._points:
                members = (bucket == number).nonzero()[:, 0].to(plain.device)
                self._gather(number, stylised[members], 1)
                self._gather(number, plain[members], -1)

    def _gather(self, slot: int, vectors: Tensor, sign: int) -> None:
        self._sums[slot] += sign * vectors.sum(0)
        self._outers[slot].addmm_(vectors.T, vectors, alpha=sign)

    def moments(self) -> Iterator[Moments]:
        """The moments at each point in turn, on the CPU; two points' worth of memory beyond the sums.

        Raises:
            ValueError: rows were left out or added twice.
        """
        if self._count != len(self._bucket):
            raise ValueError(f"{self._count} of {len(self._bucket)} images were added")
        total = Moments.zero(self._sums.shape[-1])
        for slot in range(self._points):
            count = 0 if slot else self._count
            total = total + Moments(count, self._sums[slot].cpu(), self._outers[slot].cpu())
            yield total


def mixtures(plain: Tensor, stylised: Tensor, u: Tensor, points: Sequence[float]) -> list[Moments]:
    """Moments of the partly stylised set at each point, from features [N, D] that are all there already.

    Raises:
        ValueError: the points do not ascend, or the lengths differ.
    """
    buckets = Buckets(u, points)
    buckets.add(torch.arange(len(u)), plain, stylised)
    return list(buckets.moments())
