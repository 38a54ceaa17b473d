"""How alike two maps are: the overlap of their highest positions, and the correlation of their ranks.

Both are taken over the positions of the maps as the network has them: enlarged, they would hold nothing more. A map
that is the same everywhere (Grad-CAM where nothing speaks for the class, attention that is a mean) has neither a
highest position nor ranks, and gives no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

MEASURES = ("iou", "spearman")
Compared = Mapping[str, Mapping[str, np.ndarray]]
"""Name of a map -> measure, or the same with ``_null`` -> float64 [N]."""


def highest(maps: np.ndarray, share: float) -> np.ndarray:
    """The highest positions of each map.

    Args:
        maps: [N, h, w], at least 0.
        share: of the positions, rounded to a whole number, at least one. Positions of 0 are never among them; of equal
            ones the first in reading order are.

    Returns:
        Bool [N, h, w].
    """
    flat = maps.reshape(len(maps), -1)
    count = max(1, round(share * flat.shape[1]))
    order = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    chosen = np.zeros(flat.shape, bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return (chosen & (flat > 0)).reshape(maps.shape)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Positions in both masks over those in either: two bool [N, h, w] to float64 [N], NaN where both are empty."""
    both, either = (first & second).sum((1, 2)), (first | second).sum((1, 2))
    found: np.ndarray = np.divide(both, either, out=np.full(len(first), np.nan), where=either > 0)
    return found


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each pair: two [N, h, w] to float64 [N] in [-1, 1], NaN where one is constant."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    found: np.ndarray = np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0)
    return found


def compare(first: np.ndarray, second: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Both measures of each pair of maps, [N, h, w] each: name -> float64 [N], NaN where a map is constant."""
    constant = np.zeros(len(first), bool)
    for maps in (first, second):
        constant |= maps.max((1, 2)) == maps.min((1, 2))
    found = {"iou": iou(highest(first, share), highest(second, share)), "spearman": spearman(first, second)}
    return {name: np.where(constant, np.nan, values) for name, values in found.items()}


def with_null(originals: np.ndarray, twins: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Each map against that of its own twin, and against that of the next image's twin.

    The latter, ``iou_null`` and ``spearman_null``, is what the places alone give at which the network looks in any
    image; after the last image comes the first. The images stand in random order.
    """
    own, other = compare(originals, twins, share), compare(originals, np.roll(twins, -1, axis=0), share)
    return own | {f"{name}_null": values for name, values in other.items()}


def summary(values: np.ndarray) -> dict[str, Any]:
    """Mean, standard deviation over images and number of images; NaN is left out, and what cannot be had is None."""
    known = values[~np.isnan(values)]
    n = len(known)
    return {"mean": float(known.mean()) if n else None, "sd": float(known.std(ddof=1)) if n > 1 else None, "n": n}
