"""A long tail: classes of a training split thinned out until the largest is so many times the smallest."""

from __future__ import annotations

import numpy as np

from impasto.rng import numpy_generator


def long_tail(labels: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    """Which images stay: of the k-th largest of K classes n_1 ratio^(-k / (K - 1)), k from 0, n_1 being the largest.

    A class that has fewer keeps all of them, and every class keeps one (exponential profile, as of the long-tailed
    CIFAR of Cui et al. 2019; here the classes keep their order of size). Each class has a generator of its own, and a
    smaller ratio keeps what a larger one keeps.

    Args:
        labels: int64 [N].
        ratio: largest to smallest class, 1 and up; 1 takes nothing away.
        seed: of the draw.

    Returns:
        Sorted int64 rows.
    """
    classes, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = []
    for place, each in enumerate(order):
        target = counts[order[0]] * ratio ** (-place / max(len(classes) - 1, 1))
        rows = np.flatnonzero(labels == classes[each])
        drawn = numpy_generator(seed, "long-tail", int(classes[each])).permutation(rows)
        kept.append(drawn[: max(1, min(len(rows), round(float(target))))])
    return np.sort(np.concatenate(kept))
