"""The Fréchet distance over lambda_s, the whole curve from one pass over the images.

Image i carries one uniform u_i for good and is stylised at lambda_s exactly if u_i < lambda_s, so that the sets
of all points are nested. Moments add up: the images between two neighbouring points form a bucket, whose
stylised features count at every point above it and whose plain features at every point below. N stylisations
and 2 N feature vectors give all points; assembling each of 11 sets anew takes 5.5 N and 11 N. Neither the images nor
their features stand in memory together: :mod:`impasto.fid.buckets` sums them up batch by batch.

Several processes (:mod:`impasto.ranks`) deal out the batches, which are those of one process, and send all features to
all, 8 D bytes an image (16 kB at the 2048 dimensions of Inception; a batch's share of the sums would be 34 MB a
point). Each adds them up in the order of one process, so that the bits are the same, holds the sums of all points, and
takes the distances of some points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from impasto import ranks
from impasto.fid.buckets import Buckets, mixtures
from impasto.fid.extractors import (
    Extractor,
    Images,
    as_tensor,
    blank,
    feature_moments,
    features,
    require_enough,
)
from impasto.fid.frechet import frechet_distance
from impasto.fid.moments import Moments
from impasto.kept import Kept
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
    original: float | None = None  # of held-out original images; None where they are too few
    original_n: int = 0


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
    kept: Kept | None = None,
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
        kept: where features and distances stay for a run that goes on after a kill.

    Raises:
        ImpastoError: there are fewer images than dimensions + 1, in either set.
    """
    n, keep = len(images), kept or Kept()
    require_enough(n, extractor, "synthetic images")
    require_enough(reference.count, extractor, "reference images")

    buckets = Buckets(u, points)
    for rows, (plain, stylised) in _both(extractor, images, stylise, batch, keep):
        buckets.add(torch.arange(rows.start, rows.stop), plain, stylised)
    return FrechetCurve(
        extractor=extractor.name,
        identity=extractor.identity,
        resize=extractor.resize,
        dimension=extractor.dimension,
        n=n,
        reference_n=reference.count,
        points=tuple(points),
        values=tuple(distances(buckets.moments(), reference, keep)),
    )


def _both(
    extractor: Extractor, images: Images, stylise: Stylise, batch: int, keep: Kept
) -> Iterator[tuple[slice, Tensor]]:
    """Features [2, B, D] of each batch, of the images as they are and stylised; processes deal the batches out."""

    def both(rows: slice) -> Tensor:
        plain = as_tensor(images[rows])
        stylised = stylise(plain, torch.arange(rows.start, rows.stop))
        return torch.stack([features(extractor, plain), features(extractor, stylised)])

    def made(rows: slice) -> Tensor:
        return keep(f"curve-{rows.start}", lambda: both(rows)).to(extractor.device)

    n = len(images)
    parts = [slice(at, min(at + batch, n)) for at in range(0, n, batch)]
    dealt = ranks.dealt(parts, made, lambda rows: blank(extractor, 2, rows.stop - rows.start))
    for _, found in zip(track(len(parts), "frechet curve", "batch"), dealt, strict=True):
        yield found


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
    return distances(mixtures(plain, stylised, u, points), reference)


def distances(
    sets: Iterable[Moments], reference: Moments, kept: Kept | None = None, label: str = "curve"
) -> list[float]:
    """The distance of each set from ``reference``; each of several processes takes some, and all have all."""
    mean, covariance, keep = reference.mean(), reference.covariance(), kept or Kept()

    def of(one: Moments) -> Tensor:
        return torch.tensor(frechet_distance(one.mean(), one.covariance(), mean, covariance), dtype=torch.float64)

    none = torch.zeros((), dtype=torch.float64)
    mine = [
        keep(f"{label} distance-{number}", partial(of, one)) if number % ranks.count() == ranks.index() else none
        for number, one in enumerate(sets)
    ]
    values: list[float] = ranks.total(torch.stack(mine)).tolist()
    return values


def original_distance(
    extractor: Extractor, images: Images, reference: Moments, kept: Kept | None = None
) -> float | None:
    """The distance of held-out original images, what images without a generator's faults come to at their number.

    Args:
        extractor: the one that made ``reference``.
        images: uint8 [N, 3, H, W], none of them among those of ``reference``.
        reference: moments of the training images' features.
        kept: as in :func:`measure_curve`.

    Returns:
        None where there are no more images than dimensions.
    """
    if len(images) <= extractor.dimension:
        return None
    moments = feature_moments(extractor, images, "original features", kept)
    return distances([moments], reference, kept, "original")[0]


def table_row(curve: FrechetCurve, dataset: str) -> dict[str, str | int | float | None]:
    """The curve as a row of Table 1 of Siedel et al.: the original images, then one column for each lambda_s.

    Args:
        curve: the curve, whose measure stands before the values: rows compare only where it is the same.
        dataset: what the row is called.
    """
    row: dict[str, str | int | float | None] = {
        "dataset": dataset,
        "extractor": curve.extractor,
        "n": curve.n,
        "reference_n": curve.reference_n,
        "original_n": curve.original_n,
        "resize": curve.resize,
        "original": curve.original,
    }
    return row | {str(round(point, 4)): value for point, value in zip(curve.points, curve.values, strict=True)}
