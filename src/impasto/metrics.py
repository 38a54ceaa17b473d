"""What is measured on predictions, and how sure that is.

Arrays are numpy. N is the number of images, K the number of classes; scores are fractions in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1 << 22  # image indices drawn at once: bounds the memory of a bootstrap at some 70 MB


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Summary(NamedTuple):
    """Several seeds in one line; ``std`` and ``interval`` need two seeds or more."""

    mean: float
    std: float | None
    interval: Interval | None


def class_recall(predicted: NDArray[Any], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """The accuracy within each true class.

    Args:
        predicted: predicted classes (N,), integer.
        labels: true classes (N,), integer in [0, classes).
        classes: K.

    Returns:
        (K,) float64; NaN for a class without images.
    """
    right = _right(predicted, labels)
    images = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    return np.where(images > 0, hits / np.maximum(images, 1), np.nan)


def balanced_accuracy(recall: NDArray[np.float64]) -> float:
    """The mean of :func:`class_recall` over the classes that have images."""
    return float(np.nanmean(recall))


def worst_class(recall: NDArray[np.float64]) -> tuple[int, float]:
    """The class of lowest recall, the first of several, and that recall."""
    worst = int(np.nanargmin(recall))
    return worst, float(recall[worst])


def calibration_error(confidence: NDArray[Any], correct: NDArray[Any], bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3), binned as torchmetrics bins.

    The mean over answers of the gap between accuracy and confidence within the answer's bin. Bins are
    [0, 1/bins), [1/bins, 2/bins), ..., and a confidence of exactly 1 has a bin to itself.

    Args:
        confidence: highest class probability of each image (N,), or of its V versions (V, N), in [0, 1].
        correct: whether that class is the right one, boolean of the same shape.
        bins: number of bins of equal width.
    """
    return float(np.abs(_surplus(confidence, correct, bins).sum(0)).sum() / confidence.size)


def calibration_interval(
    confidence: NDArray[Any],
    correct: NDArray[Any],
    generator: np.random.Generator,
    resamples: int,
    level: float = 0.95,
    bins: int = 15,
) -> Interval:
    """Basic bootstrap interval of :func:`calibration_error` over images, all versions of one together, from 0 on.

    Basic, not percentile (Davison and Hinkley 1997, section 5.2): absolute gaps grow with noise, so that the errors of
    resamples lie above the one of the sample; the basic interval takes that off.
    """
    surplus, error = _surplus(confidence, correct, bins), calibration_error(confidence, correct, bins)
    n, errors = len(surplus), []
    for picks in _resamples(n, generator, resamples):
        place = picks + n * np.arange(len(picks))[:, None]
        times = np.bincount(place.ravel(), minlength=picks.size).reshape(picks.shape)
        errors.append(np.abs(times @ surplus).sum(1) / confidence.size)
    low, high = np.quantile(np.concatenate(errors), [(1 - level) / 2, (1 + level) / 2])
    return Interval(max(0.0, float(2 * error - high)), max(0.0, float(2 * error - low)))


def bootstrap_interval(
    values: NDArray[Any], generator: np.random.Generator, resamples: int, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of the mean over images (Efron and Tibshirani 1993, chapter 13).

    Whole images are drawn again: average an image's scores over its corrupted versions first, since
    versions of one image are not independent.

    Args:
        values: one score per image (N,), boolean or float.
        generator: source of the resamples.
        resamples: how many.
        level: probability that the interval should cover.
    """
    scores = np.asarray(values, dtype=np.float64)
    means = [scores[picks].mean(axis=1) for picks in _resamples(len(scores), generator, resamples)]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def over_seeds(values: Sequence[float], level: float = 0.95) -> Summary:
    """Mean, sample standard deviation (n - 1) and Student t interval of the mean over independent seeds.

    Args:
        values: one score per seed.
        level: probability that the interval should cover, were the scores normal.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Summary(mean, None, None)
    from scipy.special import stdtrit  # the quantile of Student's t

    std = float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * std / len(values) ** 0.5
    return Summary(mean, std, Interval(mean - half, mean + half))


def corruption_mean(table: Mapping[str, Sequence[float]], names: Iterable[str] | None = None) -> float:
    """Unweighted mean over corruptions of the mean over severities.

    Args:
        table: accuracy at each severity, by corruption.
        names: the corruptions that enter, e.g. the 15 of C15; all when None.

    Raises:
        KeyError: a name is not in the table.
    """
    return float(np.mean([np.mean(table[name]) for name in (table if names is None else names)]))


def mean_corruption_error(
    table: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]], names: Iterable[str]
) -> float:
    """The mCE of Hendrycks and Dietterich (ICLR 2019, section 4.2), 1 for a model as good as the reference.

    The mean over corruptions of the sum of a model's errors over severities, divided by the same sum of a reference
    model, which weighs corruptions by how hard they are for it. A corruption on which the reference never errs
    counts as one on which it errs once in 10,000.

    Args:
        table: accuracy at each severity, by corruption.
        reference: likewise, of the reference model on the same test sets.
        names: the corruptions that enter.
    """
    errors = [tuple(sum(1 - value for value in one[name]) for one in (table, reference)) for name in names]
    return float(np.mean([ours / max(theirs, 1e-4) for ours, theirs in errors]))


def _surplus(confidence: NDArray[Any], correct: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """What each image adds to correct answers less confidence in each bin, over its versions; (N, bins + 1)."""
    n = confidence.shape[-1]
    edges = np.linspace(0, 1, bins + 1, dtype=confidence.dtype)
    place = np.digitize(confidence, edges) - 1 + (bins + 1) * np.arange(n)
    gaps = correct.astype(np.float64) - confidence
    sums = np.bincount(place.ravel(), gaps.ravel(), n * (bins + 1))
    return np.asarray(sums, np.float64).reshape(n, bins + 1)


def _resamples(n: int, generator: np.random.Generator, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Rows of n images drawn with replacement, ``resamples`` in all, as many at once as memory bears."""
    rows = max(1, _DRAWS // n)
    for done in range(0, resamples, rows):
        yield generator.integers(n, size=(min(rows, resamples - done), n))


def _right(predicted: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    if predicted.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(f"{predicted.shape} predictions do not answer {labels.shape} labels")
    right: NDArray[np.bool_] = predicted == labels
    return right
