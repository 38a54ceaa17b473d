"""How many images each class gets."""

from __future__ import annotations

import numpy as np


def quotas(weights: np.ndarray, total: int) -> np.ndarray:
    """Divide ``total`` in proportion to weights by largest remainders (Hamilton's method).

    Args:
        weights: [C], not negative and not all 0: the training counts, or ones for equal shares.
        total: the number to divide.

    Returns:
        int64 [C], with the sum ``total``; of equal remainders the lower class comes first.
    """
    exact = weights / weights.sum() * total
    whole: np.ndarray = np.floor(exact).astype(np.int64)
    # Rounded, so that remainders that are equal but for the last bits of a float count as equal.
    order = np.argsort(np.round(whole - exact, 9), kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def interleaved(counts: np.ndarray) -> np.ndarray:
    """Labels, int64 [sum of counts], in which every stretch holds the classes in about their shares."""
    labels: np.ndarray = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    places = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in counts])
    return labels[np.argsort(places, kind="stable")]
