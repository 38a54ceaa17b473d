"""The Fréchet distance over lambda_s, the whole curve from one pass over the images.

Image i carries one uniform u_i for good and is stylised at lambda_s exactly if u_i < lambda_s, so that the sets
of all points are nested. Moments add up: the images between two neighbouring points form a bucket, whose
stylised features count at every point above it and whose plain features at every point below. N stylisations
and 2 N feature vectors give all points; assembling each of 11 sets anew takes 5.5 N and 11 N.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from impasto.fid.extractors import Extractor, Images, as_tensor, features, require_enough
from impasto.fid.frechet import frechet_distance
from impasto.fid.moments import Moments
from impasto.progress import track

Stylise = Callable[[Tensor, Tensor], Tensor]
"""Stylises uint8 images [B, 3, H, W], given with their row numbers [B] int64 on the CPU, to uint8 images."""


@dataclass(frozen=True)
class FrechetCurve:
    """The curve, with all that a reader needs to know which measure it is."""

    extractor: str
    identity: str  # network, weights, layer, input normalisation
    resize: str
    dimension: int
    n: int  # synthetic images
    reference_n: int  # training images
    points: tuple[float, ...]  # lambda_s
    values: tuple[float, ...]


def grid(count: int) -> tuple[float, ...]:
    """``count`` values of lambda_s, evenly spaced from 0 to 1."""
    return tuple(index / (count - 1) for index in range(count))


def draw_uniforms(count: int, generator: torch.Generator) -> Tensor:
    """The uniforms u [count], float64 in [0, 1), which decide from which lambda_s on an image is stylised."""
    return torch.rand(count, generator=generator, dtype=torch.float64)


def measure_curve(
    extractor: Extractor,
    images: Images,
    stylise: Stylise,
    u: Tensor,
    reference: Moments,
    points: Sequence[float],
    batch: int,
) -> FrechetCurve:
    """Stylise every image once, extract its features before and after, and read the curve off them.

    Args:
        extractor: the feature extractor, the one that made ``reference``.
        images: synthetic images, uint8 [N, 3, H, W].
        stylise: its result for an image may depend on the row number, but not on the batch.
        u: [N] in [0, 1).
        reference: moments of the training images' features.
        points: values of lambda_s in ascending order.
        batch: images stylised at a time.

    Raises:
        ImpastoError: there are fewer images than dimensions + 1, in either set.
    """
    n = len(images)
    require_enough(n, extractor, "synthetic images")
    require_enough(reference.count, extractor, "reference images")
    plain, stylised = (torch.empty(n, extractor.dimension) for _ in range(2))
    for step in track(-(-n // batch), "frechet curve", unit="batch"):
        rows = torch.arange(step * batch, min((step + 1) * batch, n))
        part = as_tensor(images[step * batch : (step + 1) * batch])
        plain[rows] = features(extractor, part)
        stylised[rows] = features(extractor, stylise(part, rows))
    values = frechet_curve(plain, stylised, u, reference, points)
    return FrechetCurve(
        extractor=extractor.name,
        identity=extractor.identity,
        resize=extractor.resize,
        dimension=extractor.dimension,
        n=n,
        reference_n=reference.count,
        points=tuple(points),
        values=tuple(values),
    )


def frechet_curve(
    plain: Tensor, stylised: Tensor, u: Tensor, reference: Moments, points: Sequence[float]
) -> list[float]:
    """The distance from ``reference`` at each point, from the features of one pass.

    Args:
        plain: features of the images as they are, [N, D].
        stylised: features of the same images after stylisation, [N, D].
        u: [N] in [0, 1); image i is stylised at lambda_s exactly if u_i < lambda_s.
        reference: moments of the training images' features.
        points: values of lambda_s in ascending order.
    """
    mean, covariance = reference.mean(), reference.covariance()
    mixed = mixtures(plain, stylised, u, points)
    return [frechet_distance(one.mean(), one.covariance(), mean, covariance) for one in mixed]


def mixtures(plain: Tensor, stylised: Tensor, u: Tensor, points: Sequence[float]) -> list[Moments]:
    """Moments of the partly stylised set at each point; arguments as in ``frechet_curve``.

    Raises:
        ValueError: the points do not ascend, or the lengths differ.
    """
    if list(points) != sorted(points):
        raise ValueError(f"points do not ascend: {points}")
    if not len(plain) == len(stylised) == len(u):
        raise ValueError(f"lengths differ: {len(plain)}, {len(stylised)}, {len(u)}")
    # Bucket b: the points below number b leave the image plain, number b and those above stylise it.
    bucket = torch.bucketize(u.double(), torch.tensor(points, dtype=torch.float64), right=True)
    members = [bucket == number for number in range(len(points) + 1)]
    before = [Moments.of(plain[rows]) for rows in members]
    after = [Moments.of(stylised[rows]) for rows in members]
    return [reduce(add, after[: point + 1] + before[point + 1 :]) for point in range(len(points))]
