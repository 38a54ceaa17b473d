"""Whether a pool's labels follow the dataset's order of classes, by the answers of a scorer that knows the classes.

Labels in a file are bare numbers: a pool of the right dataset, in another order of its classes, would train a
classifier on wrong labels without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from impasto.errors import ImpastoError

SAMPLE = 20_000
"""Images that tell the order, divided among the classes, where the scorer does not see the whole pool."""

_SIGNIFICANCE, _FACTOR, _MARGIN = 5.0, 2.0, 0.1


def agreement(labels: np.ndarray, answers: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """How often the scorer's likeliest class is the label, for JSON.

    Args:
        labels: int64 [N].
        answers: integers [N], the class that the scorer finds likeliest.
        classes: their names.

    Returns:
        The shares of images overall, for each class (None where it has none), and overall if the labels were renamed
        by the permutation that agrees best.
    """
    counts = _confusion(labels, answers, len(classes))
    best = counts[linear_sum_assignment(counts, maximize=True)].sum()
    each = [round(float(row[label] / row.sum()), 6) if row.any() else None for label, row in enumerate(counts)]
    return {
        "images": len(labels),
        "overall": round(float(counts.trace() / len(labels)), 6),
        "best_permutation": round(float(best / len(labels)), 6),
        "classes": dict(zip(classes, each, strict=True)),
    }


def check_order(labels: np.ndarray, answers: np.ndarray, classes: Sequence[str]) -> None:
    """Refuse labels that another order of the classes explains much better.

    Half of the images find the permutation with the best mean agreement per class, the other half judges each of its
    cycles (the classes that it exchanges): chance that chose the permutation does not choose the verdict as well. A
    cycle is refused if, with each class weighing the same, the scorer gives the exchanged class for twice as many
    images as the label, for a tenth of all images more, and by five standard errors.

    A weak scorer does not fire it: one that guesses, or gives a few classes for everything, answers alike whatever
    the label, and then every permutation agrees equally often, over each cycle, whatever the counts of the classes.
    To be misled, it would have to take both of two classes for the other one more often than for themselves, against
    its own training. The price is that a scorer that is right for fewer than about a tenth of the images never fires.

    Args:
        labels: int64 [N].
        answers: integers [N], the class that the scorer finds likeliest.
        classes: their names.

    Raises:
        ImpastoError: names two classes that are exchanged, and how often the scorer says so.
    """
    ranked = np.argsort(labels, kind="stable")  # every second image of each class, whatever their order
    finding, judging = (_confusion(labels[half], answers[half], len(classes)) for half in (ranked[::2], ranked[1::2]))
    totals = judging.sum(1).clip(min=1)
    for cycle in _cycles(linear_sum_assignment(finding / finding.sum(1, keepdims=True).clip(min=1), maximize=True)[1]):
        others = np.roll(cycle, -1)
        right, wrong = judging[cycle, cycle] / totals[cycle], judging[cycle, others] / totals[cycle]
        error = np.sqrt(((right + wrong) / totals[cycle]).sum())
        gain = wrong.sum() - right.sum()
        if wrong.sum() >= _FACTOR * right.sum() and gain >= max(_MARGIN * len(cycle), _SIGNIFICANCE * error):
            raise _exchanged(classes, cycle[0], others[0], float(right[0]), float(wrong[0]), len(cycle))


def sample_rows(labels: np.ndarray, count: int = SAMPLE) -> np.ndarray:
    """About ``count`` rows, as many of each class as it has up to an equal share, evenly spaced: int64 [M], sorted."""
    found = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each = -(-count // len(found))
    picked = [rows[np.linspace(0, len(rows) - 1, min(each, len(rows))).astype(np.int64)] for rows in found]
    return np.sort(np.concatenate(picked))


def _confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """int64 [C, C]: images by label and answer."""
    return np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def _cycles(permutation: np.ndarray) -> Iterator[np.ndarray]:
    """The cycles of two or more, each element followed by its image."""
    seen = permutation == np.arange(len(permutation))
    for start in range(len(permutation)):
        cycle = []
        while not seen[start]:
            seen[start] = True
            cycle.append(start)
            start = int(permutation[start])
        if cycle:
            yield np.array(cycle)


def _exchanged(classes: Sequence[str], label: int, other: int, right: float, wrong: float, count: int) -> ImpastoError:
    return ImpastoError(
        f"the pool's labels are in another order than the dataset's classes ({count} differ): a classifier of the "
        f"training images takes {wrong:.0%} of those labelled {classes[label]!r} (label {label}) for "
        f"{classes[other]!r} (label {other}) and {right:.0%} for {classes[label]!r}",
        where="synthetic.root",
        remedy="Renumber the labels of the file in the order of the dataset's classes.",
    )
