"""Scores of each class against scikit-learn, and the gap between majority and minority."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from impasto import classes
from impasto.classes import class_rows, class_scores, columns, confusion, groups
from impasto.evaluation import Predictions

CLASSES = ("a", "b", "c", "d")
CELLS = [("none", 0), ("fog", 1), ("fog", 3), ("snow", 1), ("lines", 1)]
C = ("fog", "snow")


def answers(n: int = 300, shuffled: bool = False) -> Predictions:
    """Four classes, of which the last two are rare and harder; corrupted cells are worse."""
    random = np.random.default_rng(0)
    labels = random.choice(4, n, p=[0.5, 0.35, 0.1, 0.05]).astype(np.int16)
    rows, predicted = [], []
    for index in range(len(CELLS)):
        own = random.permutation(labels) if shuffled and index else labels
        right = random.random(n) < np.where(own < 2, 0.9, 0.6) - 0.08 * index
        rows.append(own)
        predicted.append(np.where(right, own, random.integers(0, 4, n)).astype(np.int16))
    return Predictions(CELLS, np.stack(rows), np.stack(predicted), np.ones((len(CELLS), n), np.float32))


TRAINED = {"a": 900, "b": 600, "c": 200, "d": 90}


def table(predictions: Predictions, resamples: int = 400) -> dict[str, dict[str, Any]]:
    return {row["class"]: row for row in class_rows(predictions, TRAINED, C, resamples, 0)}


@pytest.mark.parametrize("never", [None, 2])
def test_scores_are_those_of_scikit_learn(never: int | None) -> None:
    found = answers()
    labels, predicted = found.labels[0], found.predicted[0].copy()
    if never is not None:
        predicted[predicted == never] = 0
    matrix = confusion(labels, predicted, 5)
    assert np.array_equal(matrix, confusion_matrix(labels, predicted, labels=range(5)))
    wanted = precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0)
    for ours, theirs in zip(class_scores(matrix), wanted, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_many_sets_are_counted_apart() -> None:
    found = answers()
    matrices = confusion(found.labels, found.predicted, 4)
    for matrix, labels, predicted in zip(matrices, found.labels, found.predicted, strict=True):
        assert np.array_equal(matrix, confusion_matrix(labels, predicted, labels=range(4)))


def test_rows_are_the_classes_their_mean_and_the_gap() -> None:
    found = answers()
    rows = table(found)
    assert list(rows) == [*CLASSES, "macro", "majority", "minority", "gap"]
    assert [rows[name]["group"] for name in CLASSES] == ["majority", "majority", "minority", "minority"]
    assert all(set(row) <= set(columns(CLASSES)) for row in rows.values())
    for name in ("precision", "recall", "f1", "robust_recall"):
        each = [rows[c][name] for c in CLASSES]
        assert rows["macro"][name] == pytest.approx(np.mean(each))
        assert rows["gap"][name] == pytest.approx(np.mean(each[:2]) - np.mean(each[2:]))
    assert rows["gap"]["recall"] > 0.15 and rows["gap"]["recall_low"] > 0, "the rare ones are harder here"
    matrix = confusion_matrix(found.labels[0], found.predicted[0])
    assert [[rows[c][f"as {other}"] for other in CLASSES] for c in CLASSES] == matrix.tolist()
    assert rows["macro"]["n"] == 300 == sum(int(rows[c]["n"]) for c in CLASSES) == rows["gap"]["n"]
    for name, few in (("majority", CLASSES[:2]), ("minority", CLASSES[2:])):
        assert rows[name]["n"] == sum(int(rows[c]["n"]) for c in few)
        assert rows[name]["recall"] == pytest.approx(np.mean([rows[c]["recall"] for c in few]))


def test_robust_recall_is_the_mean_over_the_cells_of_c() -> None:
    found = answers()
    inside = [1, 2, 3]
    for k, name in enumerate(CLASSES):
        own = found.labels[0] == k
        assert table(found)[name]["robust_recall"] == pytest.approx(found.right[inside][:, own].mean())


def test_intervals_are_those_of_an_independent_bootstrap() -> None:
    found, random = answers(), np.random.default_rng(1)
    labels, predicted = found.labels[0], found.predicted[0]
    right = found.right[1:4].mean(0)
    scores: dict[str, list[float]] = {"precision": [], "f1": [], "robust_recall": []}
    for _ in range(1000):
        pick = np.concatenate([random.choice(np.flatnonzero(labels == k), (labels == k).sum()) for k in range(4)])
        known = {"labels": range(4), "zero_division": 0}
        drawn = precision_recall_fscore_support(labels[pick], predicted[pick], **known)
        scores["precision"].append(drawn[0].mean())
        scores["f1"].append(drawn[2].mean())
        scores["robust_recall"].append(np.mean([right[pick][labels[pick] == k].mean() for k in range(4)]))
    row = table(found, 2000)["macro"]
    for name, values in scores.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert row[f"{name}_low"] == pytest.approx(low, abs=0.2 * (high - low))
        assert row[f"{name}_high"] == pytest.approx(high, abs=0.2 * (high - low))
        assert row[f"{name}_high"] - row[f"{name}_low"] == pytest.approx(high - low, rel=0.1), "95 % and not 90"


def test_resamples_are_drawn_in_parts_and_as_many_as_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(answers(), 50)
    for draws in (1, 7 * 300):
        monkeypatch.setattr(classes, "_DRAWS", draws)
        assert table(answers(), 50) == whole


def test_other_images_in_the_corrupted_sets_have_no_interval() -> None:
    found = answers(shuffled=True)
    row = table(found)["b"]
    wanted = np.mean([found.right[cell][found.labels[cell] == 1].mean() for cell in (1, 2, 3)])
    assert row["robust_recall"] == pytest.approx(wanted)
    assert "robust_recall_low" not in row and "recall_low" in row


def test_balanced_classes_have_no_minority() -> None:
    labels = np.tile(np.arange(4), (2, 5)).astype(np.int16)
    predictions = Predictions(CELLS[:2], labels, labels, np.ones(labels.shape))
    rows = list(class_rows(predictions, dict.fromkeys(CLASSES, 7), C, 50, 0))
    assert not groups(np.array([5, 5, 5, 5])).any()
    assert [row["class"] for row in rows] == [*CLASSES, "macro"] and rows[-1]["f1"] == 1


def test_training_images_say_which_classes_are_rare() -> None:
    """The test split may be balanced, or have its classes in other shares."""
    found = answers()
    turned = dict(zip(CLASSES, (90, 200, 600, 900), strict=True))
    rows = {row["class"]: row for row in class_rows(found, turned, C, 50, 0)}
    assert [rows[name]["group"] for name in CLASSES] == ["minority", "minority", "majority", "majority"]
    ours = table(found)
    assert rows["minority"]["recall"] == ours["majority"]["recall"] and rows["gap"]["recall"] == -ours["gap"]["recall"]


def test_a_class_of_one_image_has_its_recall_in_every_resample() -> None:
    labels = np.tile(np.r_[np.zeros(30), 1], (2, 1)).astype(np.int16)
    predictions = Predictions(CELLS[:2], labels, labels, np.ones(labels.shape))
    row = list(class_rows(predictions, {"a": 30, "b": 1}, C, 200, 0))[1]
    assert (row["recall_low"], row["recall"], row["robust_recall_low"]) == (1, 1, 1)
