"""From predictions to what is reported: accuracy, robustness, calibration, classes, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import ImpastoError
from impasto.evaluation import Predictions
from impasto.io import read_csv
from impasto.metrics import (
    balanced_accuracy,
    bootstrap_interval,
    calibration_error,
    calibration_interval,
    class_recall,
    corruption_mean,
    mean_corruption_error,
    over_seeds,
    worst_class,
)
from impasto.rng import numpy_generator

Table = dict[str, list[float]]
"""Accuracy at each severity, by corruption."""

#: Scores that are summarised over seeds, where a run has them.
HEADLINES = (
    "clean", "C", "C15", "C_bar", "without_noise", "mCE", "balanced", "worst_class_recall",
    "recall_gap", "ece_clean", "ece_corrupted",
)  # fmt: skip


def score(
    predictions: Predictions,
    classes: tuple[str, ...],
    sets: Mapping[str, Sequence[str]],
    bootstrap: int,
    seed: int,
    reference: Table | None = None,
) -> dict[str, Any]:
    """Everything that is reported of one classifier; scores are fractions in [0, 1].

    A set's score is the unweighted mean over its corruptions of the mean accuracy over severities. Its interval
    resamples images, each with its mean over all corrupted versions, which equals the score when every corruption
    has the same severities, as here.

    Args:
        predictions: of all cells, clean first.
        classes: their names.
        sets: which corruptions enter which mean (see :func:`impasto.corruptions.sets.aggregates`).
        bootstrap: number of resamples.
        seed: seed of the resamples.
        reference: accuracies of the model that mCE compares with; None leaves mCE out.
    """
    table = accuracies(predictions)
    found = _means(predictions, table, sets, bootstrap, seed) | _calibration(predictions, sets, bootstrap, seed)
    if reference:
        found["mCE"] = mean_corruption_error(table, reference, sets["C"])
    recall = class_recall(predictions.predicted[0], predictions.labels[0], len(classes))
    worst, lowest = worst_class(recall)
    return found | {
        "balanced": balanced_accuracy(recall),
        "worst_class": classes[worst],
        "worst_class_recall": lowest,
        "recall_gap": float(np.nanmax(recall)) - lowest,
        "recall": dict(zip(classes, recall.tolist(), strict=True)),
        "corruptions": {name: float(np.mean(values)) for name, values in table.items()},
    }


def _means(
    predictions: Predictions, table: Table, sets: Mapping[str, Sequence[str]], bootstrap: int, seed: int
) -> dict[str, Any]:
    """Accuracy on clean images and over each set, with the intervals, in one stream of resamples."""
    right, generator = predictions.right, numpy_generator(seed, "bootstrap")
    found: dict[str, Any] = {"clean": float(right[0].mean())}
    found["clean_interval"] = list(bootstrap_interval(right[0], generator, bootstrap))
    for name, members in sets.items():
        inside = np.array([corruption in members for corruption, _ in predictions.cells])
        found[name] = corruption_mean(table, members)
        known = _paired(predictions, inside)
        interval = bootstrap_interval(right[inside].mean(0), generator, bootstrap) if known else None
        found[f"{name}_interval"] = interval and list(interval)
    return found


def _calibration(
    predictions: Predictions, sets: Mapping[str, Sequence[str]], bootstrap: int, seed: int
) -> dict[str, Any]:
    """Calibration errors with their intervals, of clean images and of all that enter any mean."""
    generator, found = numpy_generator(seed, "bootstrap-calibration"), dict[str, Any]()
    clean = np.arange(len(predictions.cells)) == 0
    counted = np.array([any(name in members for members in sets.values()) for name, _ in predictions.cells])
    for name, inside in (("clean", clean), ("corrupted", counted)):
        answers = predictions.confidence[inside], predictions.right[inside]
        found[f"ece_{name}"] = calibration_error(*answers)
        interval = calibration_interval(*answers, generator, bootstrap) if _paired(predictions, inside) else None
        found[f"ece_{name}_interval"] = interval and list(interval)
    return found


def _paired(predictions: Predictions, cells: np.ndarray) -> bool:
    """Whether cells, bool, show the same images in the same order: files may not, and leave none to average over."""
    labels = predictions.labels[cells]
    return bool((labels == labels[0]).all())


def accuracies(predictions: Predictions) -> Table:
    """Accuracy at each severity, by corruption."""
    table: Table = {}
    for (name, severity), right in zip(predictions.cells, predictions.right, strict=True):
        if severity:
            table.setdefault(name, []).append(float(right.mean()))
    return table


def reference_table(path: Path, names: Sequence[str], severities: Sequence[int]) -> Table:
    """Accuracies of the first model in a ``corruptions.csv``, as far as mCE needs them.

    Args:
        path: the file that another run's evaluation wrote.
        names: the corruptions that enter mCE.
        severities: those that were measured.

    Raises:
        ImpastoError: the file is missing, is no such table, or lacks a corruption or a severity.
    """
    remedy = "Name the metrics/corruptions.csv of a run with the same corruptions and severities."
    if not path.is_file():
        raise ImpastoError(f"{path} is no file", where="evaluate.reference", remedy=remedy)
    try:
        rows = read_csv(path)
        cells = {
            (row["corruption"], int(row["severity"])): int(row["correct"]) / int(row["n"])
            for row in rows
            if row["model"] == rows[0]["model"]
        }
        return {name: [cells[name, severity] for severity in severities] for name in names}
    except KeyError as error:
        what = f"{path} has no {error}"
    except (TypeError, ValueError, ZeroDivisionError) as error:
        what = f"{path} is no table of corruptions: {error}"
    raise ImpastoError(what, where="evaluate.reference", remedy=remedy)


def counts(predictions: Predictions, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The unaggregated table: correct answers of every cell, in all and per class."""
    for (name, severity), labels, right in zip(predictions.cells, predictions.labels, predictions.right, strict=True):
        hits = np.bincount(labels[right], minlength=len(classes))
        row = {"corruption": name, "severity": severity, "correct": int(hits.sum()), "n": len(labels)}
        yield row | {f"class_{index}": int(hit) for index, hit in enumerate(hits)}


def summary(by_seed: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Mean, sample standard deviation and Student t interval over seeds of the headline scores."""
    names = [name for name in HEADLINES if all(name in scores for scores in by_seed.values())]
    found = {name: over_seeds([scores[name] for scores in by_seed.values()]) for name in names}
    return {
        name: {"mean": value.mean, "std": value.std, "interval": value.interval and list(value.interval)}
        for name, value in found.items()
    }
