"""Linear operators on bytes whose sums carry no rounding: their results depend on no order, batch size or device.

A float64 holds 53 bits. Weights are rounded to a grid 2**-k coarse enough for every partial sum of a product to be
exact, so a matrix product may add in any order. Rounding keeps the sum of each row, or a flat area would drift.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

Array = NDArray[np.float64]


def on_grid(weights: Array, bits: int) -> Array:
    """Round the rows of a dense matrix to multiples of 2**-bits; the heaviest weight takes up what a row loses."""
    rounded = np.round(weights * 2.0**bits)
    missing = np.round(weights.sum(axis=1) * 2.0**bits) - rounded.sum(axis=1)
    rounded[np.arange(len(rounded)), np.abs(weights).argmax(axis=1)] += missing
    return np.asarray(rounded * 2.0**-bits)


def sparse_on_grid(weights: sparse.csr_array, bits: int, device: torch.device, diagonal: bool = False) -> Tensor:
    """Round a sparse matrix in the same way; a torch CSR matrix.

    The first weight of a row takes up its loss, or that on the diagonal, which must then be filled.
    """
    weights.sum_duplicates()
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    rounded = np.round(weights.data * 2.0**bits)
    missing = np.round(np.bincount(row, weights.data, weights.shape[0]) * 2.0**bits)
    missing -= np.bincount(row, rounded, weights.shape[0])
    filled = np.diff(weights.indptr) > 0
    places = np.flatnonzero(weights.indices == row) if diagonal else weights.indptr[:-1][filled]
    assert len(places) == filled.sum(), "a row with weights has none on the diagonal"
    rounded[places] += missing[filled]
    starts, columns = (torch.from_numpy(part.astype(np.int32)).to(device) for part in (weights.indptr, weights.indices))
    values = torch.from_numpy(rounded * 2.0**-bits).to(device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(starts, columns, values, size=weights.shape, check_invariants=True)


def to_grid(values: Tensor, bits: int) -> Tensor:
    """Round a tensor to multiples of 2**-bits, in place."""
    return values.mul_(2.0**bits).round_().mul_(2.0**-bits)
