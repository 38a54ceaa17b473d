"""Scores against their definitions, counted image by image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.corrupted.sources import Cell
from impasto.errors import ImpastoError
from impasto.evaluation import Predictions
from impasto.io import write_csv
from impasto.metrics import calibration_error
from impasto.scores import accuracies, counts, reference_table, score, summary

NAMES = ("a", "b", "c")
CELLS: list[Cell] = [("clean", 0), ("fog", 1), ("fog", 5), ("contrast", 1), ("contrast", 5)]
N = 60
LABELS = np.arange(N) % 3
ROWS = np.tile(LABELS, (len(CELLS), 1))
SETS = {"C": ("fog", "contrast"), "half": ("contrast",)}


def predictions(seed: int = 0) -> Predictions:
    """Right in most cells; ``c`` is hard."""
    generator = np.random.default_rng(seed)
    guess = generator.integers(0, 3, (len(CELLS), N))
    right = generator.random((len(CELLS), N)) < np.where(LABELS == 2, 0.2, 0.7)
    confidence = generator.uniform(1 / 3, 1, (len(CELLS), N)).astype(np.float32)
    return Predictions(CELLS, ROWS, np.where(right, LABELS, guess), confidence)


def made(seed: int = 0) -> dict[str, Any]:
    return score(predictions(seed), NAMES, SETS, bootstrap=400, seed=1)


def test_accuracy_by_corruption_and_severity() -> None:
    found = predictions()
    table = accuracies(found)
    assert list(table) == ["fog", "contrast"]
    right = [float(np.mean([p == t for p, t in zip(row, LABELS, strict=True)])) for row in found.predicted]
    assert [table["fog"], table["contrast"]] == [pytest.approx(right[1:3]), pytest.approx(right[3:])]


def test_scores_by_definition() -> None:
    found, scores = predictions(), made()
    right = found.predicted == LABELS
    recall = [right[0][label == LABELS].mean() for label in range(3)]
    assert scores["clean"] == pytest.approx(right[0].mean())
    assert scores["C"] == pytest.approx(np.mean([right[1:3].mean(), right[3:].mean()]))
    assert scores["half"] == pytest.approx(right[3:].mean())
    assert scores["corruptions"] == {
        "fog": pytest.approx(right[1:3].mean()),
        "contrast": pytest.approx(right[3:].mean()),
    }
    assert scores["recall"] == {name: pytest.approx(value) for name, value in zip(NAMES, recall, strict=True)}
    assert scores["balanced"] == pytest.approx(np.mean(recall))
    assert (scores["worst_class"], scores["worst_class_recall"]) == (
        NAMES[int(np.argmin(recall))],
        pytest.approx(min(recall)),
    )
    assert scores["worst_class"] == "c"
    assert scores["recall_gap"] == pytest.approx(max(recall) - min(recall))
    assert scores["ece_clean"] == pytest.approx(calibration_error(found.confidence[0], right[0]))
    corrupted = np.concatenate(list(found.confidence[1:])), np.concatenate(list(right[1:]))
    assert scores["ece_corrupted"] == pytest.approx(calibration_error(*corrupted))


def test_intervals_hold_their_score_and_replay() -> None:
    scores = made()
    for name in ("clean", "C", "ece_clean", "ece_corrupted"):
        low, high = scores[f"{name}_interval"]
        assert 0 <= low < scores[name] < high <= 1
    clean, corrupted = (np.ptp(scores[f"{name}_interval"]) for name in ("clean", "C"))
    assert corrupted < clean, "the mean of four cells is surer than one"
    deviation = np.sqrt(scores["clean"] * (1 - scores["clean"]) / N)
    assert clean == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    assert made() == scores


def test_a_perfect_and_sure_classifier() -> None:
    sure = Predictions(CELLS, ROWS, np.tile(LABELS, (len(CELLS), 1)), np.ones((len(CELLS), N), np.float32))
    scores = score(sure, NAMES, SETS, 100, 0)
    assert (scores["clean"], scores["C"], scores["balanced"], scores["ece_clean"], scores["ece_corrupted"]) == (
        1,
        1,
        1,
        0,
        0,
    )
    assert scores["clean_interval"] == [1, 1]


def test_sure_and_always_wrong_is_the_worst_calibration() -> None:
    wrong = Predictions(CELLS, ROWS, np.tile((LABELS + 1) % 3, (len(CELLS), 1)), np.ones((len(CELLS), N), np.float32))
    scores = score(wrong, NAMES, SETS, 100, 0)
    assert (scores["clean"], scores["ece_clean"], scores["ece_corrupted"]) == (0, 1, 1)


def test_the_unaggregated_table_adds_up() -> None:
    found = predictions()
    rows = list(counts(found, NAMES))
    assert [(row["corruption"], row["severity"]) for row in rows] == CELLS
    for row, predicted in zip(rows, found.predicted, strict=True):
        by_class = [int(((predicted == LABELS) & (label == LABELS)).sum()) for label in range(3)]
        assert [row[f"class_{label}"] for label in range(3)] == by_class
        assert row["correct"] == sum(by_class) and row["n"] == N


def test_over_seeds() -> None:
    by_seed = {seed: made(seed) for seed in range(3)}
    found = summary(by_seed)
    clean = [scores["clean"] for scores in by_seed.values()]
    assert found["clean"]["mean"] == pytest.approx(np.mean(clean))
    assert found["clean"]["std"] == pytest.approx(np.std(clean, ddof=1))
    low, high = found["clean"]["interval"]
    assert high - low == pytest.approx(2 * 4.302653 * np.std(clean, ddof=1) / np.sqrt(3), rel=1e-4)
    assert set(found) == {
        "clean", "C", "balanced", "worst_class_recall", "recall_gap", "ece_clean", "ece_corrupted",
    }  # fmt: skip


def test_one_seed_has_no_interval() -> None:
    found = summary({0: made()})
    assert found["C"]["mean"] == made()["C"] and not found["C"]["interval"]


def test_mce_compares_with_the_first_model_of_another_table(tmp_path: Path) -> None:
    ours, theirs = predictions(0), predictions(1)
    rows = [{"model": name} | row for name, p in (("base-0", theirs), ("tuned-0", ours)) for row in counts(p, NAMES)]
    write_csv(tmp_path / "corruptions.csv", rows[0], rows)
    reference = reference_table(tmp_path / "corruptions.csv", SETS["C"], (1, 5))
    assert reference == accuracies(theirs)
    errors = [1 - p.right.mean(1) for p in (ours, theirs)]
    expected = np.mean([errors[0][cells].sum() / errors[1][cells].sum() for cells in ([1, 2], [3, 4])])
    assert score(ours, NAMES, SETS, 100, 0, reference)["mCE"] == pytest.approx(expected)
    assert "mCE" not in score(ours, NAMES, SETS, 100, 0)
    assert "mCE" in summary({0: score(ours, NAMES, SETS, 100, 0, reference)})


@pytest.mark.parametrize(
    ("text", "names", "severities", "fault"),
    [
        ("model,corruption\na,fog\n", ("fog",), (1,), "severity"),
        ("model,corruption,severity,correct,n\na,fog,1,x,3\n", ("fog",), (1,), "no table"),
        ("model,corruption,severity,correct,n\na,fog,1,2,3\n", ("fog",), (1, 2), "has no ('fog', 2)"),
        ("model,corruption,severity,correct,n\na,fog,1,2,3\n", ("fog", "snow"), (1,), "has no ('snow', 1)"),
    ],
)
def test_a_reference_that_does_not_fit_is_named(
    tmp_path: Path, text: str, names: tuple[str, ...], severities: tuple[int, ...], fault: str
) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ImpastoError, match=re.escape(fault)):
        reference_table(tmp_path / "table.csv", names, severities)


def test_what_enters_no_mean_enters_no_calibration_error() -> None:
    found = predictions()
    right, sure = found.predicted[3:] == LABELS, found.confidence[3:]
    alone = score(found, NAMES, {"C": ("contrast",)}, 100, 0)
    assert alone["ece_corrupted"] == pytest.approx(calibration_error(sure.ravel(), right.ravel()))


def test_cells_of_other_images_have_no_common_interval() -> None:
    found = predictions()
    found.labels = found.labels.copy()
    found.labels[4] = np.roll(LABELS, 1)
    scores = score(found, NAMES, {"C": ("fog", "contrast"), "one": ("fog",)}, 100, 0)
    assert scores["C_interval"] is None and scores["one_interval"]
    assert scores["C"] == pytest.approx(np.mean([found.right[1:3].mean(), found.right[3:].mean()]))
