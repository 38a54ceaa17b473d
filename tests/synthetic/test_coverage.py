"""Choice by coverage: against the definition, against the best possible, and against chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from impasto.synthetic import coverage
from impasto.synthetic.coverage import cover, covering_radius


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def radius(points: np.ndarray, rows: np.ndarray) -> float:
    """The largest distance of any point to the nearest chosen one."""
    return float(cdist(points, points[rows]).min(1).max())


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 40), d=st.integers(1, 5), share=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_each_choice_is_the_farthest(n: int, d: int, share: float, seed: int) -> None:
    """The definition, with scipy's distances in float64."""
    points, count = features(n, d, seed), max(1, round(share * n))
    rows, radii = cover(points, count)
    exact, chosen = points.double().numpy(), rows.numpy()
    assert rows.dtype == torch.int64 and len(set(chosen.tolist())) == count == len(radii)
    middle = np.linalg.norm(exact - exact.mean(0), axis=1)
    assert middle[chosen[0]] == pytest.approx(middle.min(), abs=1e-4)
    for step in range(count):
        assert radii[step].item() == pytest.approx(radius(exact, chosen[: step + 1]), abs=3e-3)
        if step:
            away = cdist(exact[chosen[step]][None], exact[chosen[:step]]).min()
            assert away == pytest.approx(radius(exact, chosen[:step]), abs=3e-3)
    assert (radii.diff() <= 1e-6).all()


@settings(deadline=None, max_examples=25)
@given(n=st.integers(3, 11), count=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_at_most_twice_the_smallest_radius(n: int, count: int, seed: int) -> None:
    """Gonzalez's bound, against every possible choice."""
    points = features(n, 2, seed)
    best = min(radius(points.numpy(), np.array(some)) for some in combinations(range(n), count))
    assert cover(points, count).radii[-1].item() <= 2 * best + 1e-3


@settings(max_examples=60)
@given(n=st.integers(2, 40), given_=st.floats(0, 1), share=st.floats(0, 1), block=st.integers(1, 200))
def test_beside_given_rows_each_choice_is_the_farthest(n: int, given_: float, share: float, block: int) -> None:
    """Whatever the blocks in which distances to the given rows are taken."""
    first = max(1, round(given_ * (n - 1)))
    count = max(1, round(share * (n - first)))
    points = features(n, 3, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "_BLOCK", block)
        rows, radii = cover(points, count, first)
        assert covering_radius(points, first) == pytest.approx(radius(points.numpy(), np.arange(first)), abs=3e-3)
    chosen, exact = [*range(first), *rows.tolist()], points.double().numpy()
    assert len(set(chosen)) == first + count
    for step in range(count):
        away = cdist(exact[chosen[first + step]][None], exact[chosen[: first + step]]).min()
        assert away == pytest.approx(radius(exact, np.array(chosen[: first + step])), abs=3e-3)
        assert radii[step].item() == pytest.approx(radius(exact, np.array(chosen[: first + step + 1])), abs=3e-3)


def test_every_cluster_is_found() -> None:
    """Twelve heaps, one of half the images and eleven small ones: chance misses most of them."""
    centres = 100 * torch.eye(12)
    sizes = torch.tensor([550] + [50] * 11)
    points = centres.repeat_interleave(sizes, 0) + features(1100, 12)
    heaps = torch.arange(12).repeat_interleave(sizes)
    assert len(set(heaps[cover(points, 12).rows].tolist())) == 12
    chance = torch.randperm(1100, generator=torch.Generator().manual_seed(0))[:12]
    assert len(set(heaps[chance].tolist())) < 10


def test_a_shorter_cover_is_the_beginning_of_a_longer_one() -> None:
    points = features(200, 8)
    long = cover(points, 60)
    assert torch.equal(cover(points, 7).rows, long.rows[:7]) and torch.equal(cover(points, 7).radii, long.radii[:7])


def test_an_offset_of_all_features_changes_nothing() -> None:
    """Pooled features lie far from 0; squares of large numbers would swallow the distances."""
    points = features(300, 16)
    shifted = points + 500
    assert cover(shifted, 20).rows.tolist() == cover(shifted - 500, 20).rows.tolist()


def test_all_rows_and_equal_rows() -> None:
    points = torch.ones(6, 3)
    points[4] += 1
    rows, radii = cover(points, 6)
    assert sorted(rows.tolist()) == list(range(6)) and rows[:2].tolist() == [0, 4]
    assert radii[0] > 1 and radii[1:].max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype: torch.dtype) -> None:
    points = features(100, 4).to(dtype)
    assert torch.equal(cover(points, 10).rows, cover(points.float(), 10).rows)


def test_the_features_are_left_alone() -> None:
    points = features(50, 4)
    before = points.clone()
    cover(points, 10)
    assert torch.equal(points, before)


@pytest.mark.parametrize(("shape", "count"), [((5, 2), 0), ((5, 2), 6), ((0, 2), 1), ((5,), 1), ((5, 2, 2), 1)])
def test_what_cannot_be_chosen(shape: tuple[int, ...], count: int) -> None:
    with pytest.raises(ValueError, match=f"cannot choose {count} rows"):
        cover(torch.zeros(shape), count)


@pytest.mark.parametrize("given_", [-1, 4, 5])
def test_given_rows_that_leave_too_few(given_: int) -> None:
    with pytest.raises(ValueError, match=f"cannot choose 2 rows beside {given_}"):
        cover(torch.zeros(5, 2), 2, given_)
