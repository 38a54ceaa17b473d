"""From predictions to what is reported: accuracy, robustness, calibration, classes, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from impasto.evaluation import Predictions
from impasto.metrics import (
    accuracy,
    balanced_accuracy,
    bootstrap_interval,
    calibration_error,
    class_recall,
    corruption_mean,
    over_seeds,
    worst_class,
)
from impasto.rng import numpy_generator


def score(
    predictions: Predictions, labels: np.ndarray, classes: tuple[str, ...], bootstrap: int, seed: int
) -> dict[str, Any]:
    """Everything that is reported of one classifier; scores are fractions in [0, 1].

    ``C`` is the unweighted mean over corruptions of the mean accuracy over severities. Its interval resamples
    images, each with its mean over all corrupted versions, which equals C when every corruption has the same
    severities, as here.

    Args:
        predictions: of all cells, clean first.
        labels: int64 [N], true classes.
        classes: their names.
        bootstrap: number of resamples.
        seed: seed of the resamples.
    """
    right = predictions.predicted == labels
    clean, corrupted = right[0], right[1:]
    by_corruption = accuracies(predictions, labels)
    recall = class_recall(predictions.predicted[0], labels, len(classes))
    worst, lowest = worst_class(recall)
    generator = numpy_generator(seed, "bootstrap")
    return {
        "clean": float(clean.mean()),
        "clean_interval": list(bootstrap_interval(clean, generator, bootstrap)),
        "C": corruption_mean(by_corruption),
        "C_interval": list(bootstrap_interval(corrupted.mean(0), generator, bootstrap)),
        "balanced": balanced_accuracy(recall),
        "worst_class": classes[worst],
        "worst_class_recall": lowest,
        "ece_clean": calibration_error(predictions.confidence[0], clean),
        "ece_corrupted": calibration_error(predictions.confidence[1:].ravel(), corrupted.ravel()),
        "recall": dict(zip(classes, recall.tolist(), strict=True)),
        "corruptions": {name: float(np.mean(values)) for name, values in by_corruption.items()},
    }


def accuracies(predictions: Predictions, labels: np.ndarray) -> dict[str, list[float]]:
    """Accuracy at each severity, by corruption."""
    table: dict[str, list[float]] = {}
    for (name, severity), predicted in zip(predictions.cells, predictions.predicted, strict=True):
        if severity:
            table.setdefault(name, []).append(accuracy(predicted, labels))
    return table


def counts(predictions: Predictions, labels: np.ndarray, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The unaggregated table: correct answers of every cell, in all and per class."""
    sizes = np.bincount(labels, minlength=len(classes))
    for (name, severity), predicted in zip(predictions.cells, predictions.predicted, strict=True):
        hits = np.bincount(labels[predicted == labels], minlength=len(classes))
        row = {"corruption": name, "severity": severity, "correct": int(hits.sum()), "n": int(sizes.sum())}
        yield row | {f"class_{index}": int(hit) for index, hit in enumerate(hits)}


def summary(by_seed: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Mean, sample standard deviation and Student t interval over seeds of the headline scores."""
    names = ("clean", "C", "balanced", "worst_class_recall", "ece_clean", "ece_corrupted")
    found = {name: over_seeds([scores[name] for scores in by_seed.values()]) for name in names}
    return {
        name: {"mean": value.mean, "std": value.std, "interval": value.interval and list(value.interval)}
        for name, value in found.items()
    }
