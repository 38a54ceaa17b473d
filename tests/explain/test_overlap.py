"""Overlap and rank correlation of maps: by hand, against scipy, and where there is nothing to compare."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from impasto.explain.overlap import compare, highest, iou, spearman, summary, with_null


def maps(*rows: list[float]) -> np.ndarray:
    """One map of 2 x 5 positions per row."""
    return np.array(rows, np.float32).reshape(-1, 2, 5)


UP, DOWN = [float(i) for i in range(1, 11)], [float(i) for i in range(10, 0, -1)]


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.5, 5), (0.01, 1), (0.24, 2), (0.26, 3), (0.99, 10)])
def test_the_highest_positions(share: float, count: int) -> None:
    found = highest(maps(UP, DOWN), share)
    assert found.sum((1, 2)).tolist() == [count, count]
    assert found[0].ravel()[-count:].all() and found[1].ravel()[:count].all()


def test_of_equals_the_first_and_never_one_of_nothing() -> None:
    equal, empty = [1.0] * 10, [0.0, 3.0, 0.0, *[0.0] * 7]
    found = highest(maps(equal, empty), 0.3)
    assert np.flatnonzero(found[0]).tolist() == [0, 1, 2] and np.flatnonzero(found[1]).tolist() == [1]


def test_overlap_by_hand() -> None:
    """Three of ten positions each: all shared, two, one, none: 3/3, 2/4, 1/5, 0/6."""
    top = {name: [float(i in places) + 0.1 for i in range(10)] for name, places in {
        "a": (0, 1, 2), "b": (1, 2, 3), "c": (2, 3, 4), "d": (3, 4, 5)}.items()}  # fmt: skip
    first, second = maps(*[top["a"]] * 4), maps(top["a"], top["b"], top["c"], top["d"])
    assert compare(first, second, 0.3)["iou"].tolist() == pytest.approx([1, 0.5, 0.2, 0])
    assert compare(second, first, 0.3)["iou"].tolist() == pytest.approx([1, 0.5, 0.2, 0])


def test_empty_masks_have_no_overlap_to_speak_of() -> None:
    none, some = np.zeros((1, 2, 5), bool), np.ones((1, 2, 5), bool)
    assert np.isnan(iou(none, none)).all() and iou(none, some).tolist() == [0]


@pytest.mark.parametrize("levels", [3, 1000])
def test_rank_correlation_is_that_of_scipy(levels: int) -> None:
    """With many ties and with few."""
    draws = np.random.default_rng(0)
    first, second = (draws.integers(0, levels, (20, 4, 6)).astype(np.float32) for _ in range(2))
    wanted = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second), wanted, atol=1e-12)
    np.testing.assert_allclose(spearman(first, first**3), 1)
    assert spearman(maps(UP), maps(DOWN)).tolist() == pytest.approx([-1])


def test_a_map_without_relief_is_compared_with_nothing() -> None:
    """Neither all 0, as Grad-CAM may be, nor all alike, as the mean over positions is."""
    for flat in ([0.0] * 10, [0.1] * 10):
        for pair in ((maps(flat), maps(UP)), (maps(UP), maps(flat)), (maps(flat), maps(flat))):
            assert all(np.isnan(values).all() for values in compare(*pair, 0.2).values())


def test_the_null_is_the_twin_of_the_next_image() -> None:
    draws = np.random.default_rng(1)
    originals, twins = draws.random((5, 4, 4)), draws.random((5, 4, 4))
    found = with_null(originals, twins, 0.25)
    shifted = compare(originals, twins[[1, 2, 3, 4, 0]], 0.25)
    for measure in ("iou", "spearman"):
        np.testing.assert_array_equal(found[f"{measure}_null"], shifted[measure])
        np.testing.assert_array_equal(found[measure], compare(originals, twins, 0.25)[measure])
    same = with_null(originals, originals, 0.25)
    assert same["iou"].tolist() == [1] * 5 and same["spearman"] == pytest.approx(1) and same["iou_null"].mean() < 0.5


def test_summary() -> None:
    found = summary(np.array([1.0, np.nan, 2.0, 4.0]))
    assert found == {"mean": pytest.approx(7 / 3), "sd": pytest.approx(np.std([1, 2, 4], ddof=1)), "n": 3}
    assert summary(np.array([np.nan])) == {"mean": None, "sd": None, "n": 0}
    assert summary(np.array([0.5])) == {"mean": 0.5, "sd": None, "n": 1}
