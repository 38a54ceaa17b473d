"""Scores of each class, clean and corrupted, and what sets majority and minority classes apart.

All of it comes from the predictions of the whole test split, never from means over batches. N is the number of images,
K that of classes; scores are fractions in [0, 1]. A class that is never predicted has precision 0, one without images
recall 0, and both then have F1 0, as in scikit-learn with ``zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.evaluation import Predictions
from impasto.rng import numpy_generator

_SCORES = ("precision", "recall", "f1", "robust_recall")
_COLUMNS = ("class", "n", "group", *(f"{score}{end}" for score in _SCORES for end in ("", "_low", "_high")))
_DRAWS = 1 << 22  # image indices drawn at once: bounds the memory of a bootstrap at some 100 MB


class ClassScores(NamedTuple):
    """Scores of classes; float64 [..., K]."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def confusion(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How often each class (row) was taken for each (column).

    Args:
        labels: true classes, integer [..., N].
        predicted: predicted classes, integer [..., N].
        classes: K.

    Returns:
        int64 [..., K, K].
    """
    pairs = labels.astype(np.int64) * classes + predicted
    sets = pairs.reshape(-1, pairs.shape[-1])
    place = sets + np.arange(len(sets))[:, None] * classes**2
    counts = np.bincount(place.ravel(), minlength=len(sets) * classes**2)
    return counts.reshape(*pairs.shape[:-1], classes, classes)


def class_scores(matrix: NDArray[np.int64]) -> ClassScores:
    """Precision, recall and F1 of each class of confusion matrices [..., K, K]."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1).astype(np.float64)
    images, answers = matrix.sum(-1), matrix.sum(-2)
    return ClassScores(_over(hits, answers), _over(hits, images), _over(2 * hits, images + answers))


def groups(counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Which classes are minorities: those with fewer training images, integer [K], than the mean class; bool [K]."""
    few: NDArray[np.bool_] = counts < counts.mean()
    return few


def columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of :func:`class_rows`; those of the confusion matrix are called ``as CLASS``."""
    return (*_COLUMNS, *(f"as {name}" for name in classes))


def class_rows(
    predictions: Predictions, trained: Mapping[str, int], members: Sequence[str], resamples: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The table of one classifier: a row for each class, their mean, that of majority and minority, and the gap.

    A class has its row of the confusion matrix too.

    Intervals are of the 95 % percentile bootstrap over images, all corrupted versions of an image together. Images are
    drawn again within their class, whose size in a test split is given and not a matter of chance. The intervals of
    corrupted images are left out where the corrupted sets show other images, or in another order.

    Args:
        predictions: of all cells, clean first.
        trained: class -> images it had in training, in the order of the labels; they say which classes are rare.
        members: the corruptions over whose cells ``robust_recall`` is the mean.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    classes = list(trained)
    matrix = confusion(predictions.labels[0], predictions.predicted[0], len(classes))
    counts = matrix.sum(1)
    exact = _exact(predictions, len(classes), members)
    drawn = _drawn(predictions, len(classes), members, resamples, seed)
    few = groups(np.array(list(trained.values())))
    kinds = np.where(few, "minority", "majority") if few.any() else np.full(len(classes), "")
    for k, name in enumerate(classes):
        answers = {f"as {other}": int(n) for other, n in zip(classes, matrix[k], strict=True)}
        yield _row(name, counts[k], kinds[k], exact, drawn, np.eye(len(classes))[k]) | answers
    ours = {"macro": counts >= 0} | ({"majority": ~few, "minority": few} if few.any() else {})
    for name, some in ours.items():
        yield _row(name, counts[some].sum(), "", exact, drawn, some / some.sum())
    if few.any():
        yield _row("gap", counts.sum(), "", exact, drawn, ~few / (~few).sum() - few / few.sum())


def _exact(predictions: Predictions, classes: int, members: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Every score of every class, float64 [K]."""
    matrices = confusion(predictions.labels, predictions.predicted, classes)
    inside = [corruption in members for corruption, _ in predictions.cells]
    return {**class_scores(matrices[0])._asdict(), "robust_recall": class_scores(matrices[inside]).recall.mean(0)}


def _drawn(
    predictions: Predictions, classes: int, members: Sequence[str], resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """The scores that have intervals, of resampled images; float64 [resamples, K]."""
    labels, predicted = predictions.labels[0], predictions.predicted[0]
    inside = np.array([corruption in members for corruption, _ in predictions.cells])
    paired = bool((predictions.labels[inside] == labels).all())
    right = predictions.right[inside].mean(0)
    generator, found = numpy_generator(seed, "bootstrap-classes"), []
    rows = max(1, _DRAWS // len(labels))
    for done in range(0, resamples, rows):
        picks = _within_classes(labels, min(rows, resamples - done), generator)
        scores = class_scores(confusion(labels[picks], predicted[picks], classes))
        found.append(
            scores._asdict() | ({"robust_recall": _means(right[picks], labels[picks], classes)} if paired else {})
        )
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _within_classes(labels: NDArray[Any], resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Images drawn with replacement from those of the same class, int64 [resamples, N]."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    first = np.cumsum(counts) - counts
    picks: NDArray[np.int64] = order[first[labels] + generator.integers(counts[labels], size=(resamples, len(labels)))]
    return picks


def _means(values: NDArray[np.float64], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """The mean of the values [R, N] of each class, 0 for one without images; float64 [R, K]."""
    place = (labels + np.arange(len(labels))[:, None] * classes).ravel()
    size = len(labels) * classes
    sums, counts = np.bincount(place, values.ravel(), size), np.bincount(place, minlength=size)
    return _over(sums, counts).reshape(len(labels), classes)


def _row(
    name: str,
    n: int,
    group: str,
    exact: dict[str, NDArray[np.float64]],
    drawn: dict[str, NDArray[np.float64]],
    weights: NDArray[np.float64],
) -> dict[str, Any]:
    """The weighted sum over classes of every score, with its interval."""
    row: dict[str, Any] = {"class": name, "n": int(n), "group": str(group)}
    row |= {score: float(values @ weights) for score, values in exact.items()}
    for score, samples in drawn.items():
        row[f"{score}_low"], row[f"{score}_high"] = map(float, np.quantile(samples @ weights, [0.025, 0.975]))
    return row


def _over(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Part / whole, 0 where whole is 0."""
    found = np.zeros(np.broadcast(part, whole).shape)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
