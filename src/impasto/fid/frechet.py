"""The Fréchet distance between two Gaussians (Dowson and Landau 1982; Heusel et al. 2017, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)), never negative and never complex.

    With factors C = L L^T from the symmetric eigendecomposition, the trace of the root is the sum of the singular
    values of L1^T L2. So no root of a non-symmetric product is taken, which is where complex numbers and NaN come
    from, and no eigenvalue near zero loses half its digits to a square root.

    Args:
        mean1: [D] float64.
        cov1: [D, D] float64, symmetric and positive semi-definite, of any rank.
        mean2: as ``mean1``.
        cov2: as ``cov1``.

    Raises:
        ValueError: the shapes differ or an entry is not finite.
    """
    dimension = len(mean1)
    if mean2.shape != mean1.shape or not cov1.shape == cov2.shape == (dimension, dimension):
        raise ValueError(f"shapes differ: {[tuple(t.shape) for t in (mean1, cov1, mean2, cov2)]}")
    if not all(bool(torch.isfinite(t).all()) for t in (mean1, cov1, mean2, cov2)):
        raise ValueError("a mean or covariance is not finite")
    shared = torch.linalg.svdvals(_factor(cov1).T @ _factor(cov2)).sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * shared
    return max(float(distance), 0.0)


def _factor(covariance: Tensor) -> Tensor:
    """L [D, D] with L L^T = covariance; eigenvalues that are rounding errors of zero count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    noise = len(values) * torch.finfo(values.dtype).eps * values.abs().max()
    factor: Tensor = vectors * torch.where(values > noise, values, 0.0).sqrt()
    return factor
