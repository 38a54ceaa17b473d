"""Metrics against torchmetrics, scikit-learn, scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, recall_score
from torchmetrics.functional.classification import multiclass_calibration_error

from impasto import metrics
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

RNG = np.random.default_rng(0)
LABELS = RNG.choice(5, 400, p=[0.5, 0.2, 0.15, 0.1, 0.05])
PREDICTED = np.where(RNG.random(400) < 0.6, LABELS, RNG.integers(5, size=400))


def test_recall_equals_scikit_learn() -> None:
    recall = class_recall(PREDICTED, LABELS, 5)
    np.testing.assert_allclose(recall, recall_score(LABELS, PREDICTED, average=None))
    assert balanced_accuracy(recall) == pytest.approx(float(balanced_accuracy_score(LABELS, PREDICTED)))


def test_recall_of_a_class_without_images_is_nan_and_counts_nowhere() -> None:
    recall = class_recall(np.array([0, 1, 1, 3]), np.array([0, 0, 1, 1]), 4)
    np.testing.assert_array_equal(recall, [0.5, 0.5, np.nan, np.nan])
    assert balanced_accuracy(recall) == 0.5
    assert worst_class(recall) == (0, 0.5)


def test_worst_class_is_the_lowest() -> None:
    assert worst_class(np.array([0.9, np.nan, 0.2, 0.2])) == (2, 0.2)


@pytest.mark.parametrize(("predicted", "labels"), [([1], [1, 2]), ([], []), ([[1]], [[1]])])
def test_predictions_that_do_not_match_the_labels_are_refused(predicted: list[int], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="do not answer"):
        class_recall(np.array(predicted, dtype=int), np.array(labels, dtype=int), 3)


@pytest.mark.parametrize(("bins", "sharpness"), [(15, 1.0), (15, 8.0), (10, 3.0), (1, 3.0)])
def test_calibration_error_equals_torchmetrics(bins: int, sharpness: float) -> None:
    generator = torch.Generator().manual_seed(bins)
    probabilities = (sharpness * torch.randn(500, 4, generator=generator)).softmax(1)
    labels = torch.randint(4, (500,), generator=generator)
    # A confidence of exactly 1 has its own bin there: here overconfident, and the one below underconfident.
    probabilities[:20] = torch.eye(4)[torch.arange(20) % 4]
    probabilities[20:80] = 0.96 * torch.eye(4)[labels[20:80]] + 0.01
    expected = multiclass_calibration_error(probabilities, labels, num_classes=4, n_bins=bins, norm="l1")
    confidence, predicted = probabilities.max(1)
    found = calibration_error(confidence.numpy(), (predicted == labels).numpy(), bins)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_of_known_cases() -> None:
    confidence = np.full(10, 0.75)
    assert calibration_error(confidence, np.arange(10) < 5) == pytest.approx(0.25)
    assert calibration_error(np.ones(4), np.ones(4, dtype=bool)) == 0
    both_ways = calibration_error(np.array([0.6, 0.6, 0.9, 0.9]), np.array([True, True, False, False]))
    assert both_ways == pytest.approx((0.4 + 0.9) / 2)  # gaps of opposite sign must not cancel between bins


def test_calibration_interval_is_that_of_a_loop_over_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are drawn with all their versions; the interval is turned about the error of the sample."""
    confidence = RNG.random((3, 40)).astype(np.float32)
    correct = RNG.random((3, 40)) < 0.6
    picks = np.random.default_rng(5).integers(40, size=(250, 40))
    errors = [calibration_error(confidence[:, rows].ravel(), correct[:, rows].ravel()) for rows in picks]
    low, high = np.quantile(errors, [0.05, 0.95])
    error = calibration_error(confidence, correct)
    for draws in (1 << 22, 40 * 7):
        monkeypatch.setattr(metrics, "_DRAWS", draws)
        found = calibration_interval(confidence, correct, np.random.default_rng(5), 250, level=0.9)
        assert found == pytest.approx((2 * error - high, 2 * error - low)) and 0 < found.low < found.high


def test_calibration_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Four bins, in each of which confidence is .15 above accuracy."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(300):
        confidence = rng.choice([0.3, 0.5, 0.7, 0.9], 300)
        correct = rng.random(300) < confidence - 0.15
        low, high = calibration_interval(confidence, correct, rng, 200, level=0.9)
        hits += low <= 0.15 <= high
    assert 0.82 <= hits / 300 <= 0.96
    assert calibration_interval(np.ones(5), np.ones(5, bool), rng, 100) == (0, 0), "never below 0"


def test_bootstrap_quantiles_equal_the_binomial_ones() -> None:
    """Resampled means of 0/1 scores are binomial / n, so their quantiles are known."""
    values = np.arange(300) < 210
    low, high = bootstrap_interval(values, np.random.default_rng(1), 20_000)
    assert low == pytest.approx(stats.binom.ppf(0.025, 300, 0.7) / 300, abs=1 / 300)
    assert high == pytest.approx(stats.binom.ppf(0.975, 300, 0.7) / 300, abs=1 / 300)


def test_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.random(150) < 0.7, rng, 300, level=0.9)
        hits += low <= 0.7 <= high
    assert 0.84 <= hits / 300 <= 0.95


def test_bootstrap_follows_its_generator_and_not_the_size_of_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RNG.random(40)
    first = bootstrap_interval(values, np.random.default_rng(3), 250)
    monkeypatch.setattr(metrics, "_DRAWS", 40 * 7)
    assert bootstrap_interval(values, np.random.default_rng(3), 250) == first
    assert bootstrap_interval(values, np.random.default_rng(4), 250) != first


def test_bootstrap_of_one_value_is_that_value() -> None:
    assert bootstrap_interval(np.full(5, 0.25), np.random.default_rng(0), 100) == (0.25, 0.25)


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_seeds_equal_scipy(level: float) -> None:
    values = [0.71, 0.74, 0.69, 0.73]
    mean, std, interval = over_seeds(values, level)
    assert mean == pytest.approx(0.7175)
    assert std == pytest.approx(stats.tstd(values))
    assert interval == pytest.approx(stats.t.interval(level, 3, loc=mean, scale=stats.sem(values)))


def test_one_seed_has_no_spread() -> None:
    assert over_seeds([0.5]) == (0.5, None, None)
    assert over_seeds([0.5, 0.5]) == (0.5, 0.0, (0.5, 0.5))


def test_corruption_mean_weighs_corruptions_equally() -> None:
    table = {"fog": [1.0, 0.5], "snow": [0.25], "jpeg": [0.0, 0.0, 0.0]}
    assert corruption_mean(table) == pytest.approx((0.75 + 0.25 + 0) / 3)
    assert corruption_mean(table, ["fog", "snow"]) == pytest.approx(0.5)
    with pytest.raises(KeyError, match="frost"):
        corruption_mean(table, ["frost"])
    assert not math.isnan(corruption_mean(table, iter(["jpeg"])))


def test_mean_corruption_error_by_definition() -> None:
    table, reference = {"fog": [0.9, 0.7], "snow": [0.5, 0.5]}, {"fog": [0.8, 0.6], "snow": [0.75, 0.25]}
    assert mean_corruption_error(table, reference, ["fog", "snow"]) == pytest.approx((0.4 / 0.6 + 1.0 / 1.0) / 2)
    assert mean_corruption_error(reference, reference, ["fog", "snow"]) == pytest.approx(1)


def test_mean_corruption_error_of_a_reference_that_never_errs() -> None:
    assert mean_corruption_error({"fog": [0.9]}, {"fog": [1.0]}, ["fog"]) == pytest.approx(0.1 / 1e-4)
