"""A long tail: how many of each class stay, and that more of it takes away more of the same."""

from __future__ import annotations

import numpy as np

from impasto.data.long_tail import long_tail

COUNTS = (265, 179, 199, 129, 141, 206, 314)  # not in order of size


def labels(counts: tuple[int, ...] = COUNTS) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def test_the_classes_fall_along_an_exponential_from_the_largest_to_the_smallest() -> None:
    own = labels()
    kept = long_tail(own, 10.0, 0)
    found = np.bincount(own[kept])
    by_size = np.argsort(COUNTS)[::-1]
    assert found[by_size].tolist() == [round(314 * 10 ** (-k / 6)) for k in range(7)] and found[3] == 31
    assert len(set(kept.tolist())) == len(kept) and (np.diff(kept) > 0).all()


def test_a_class_that_is_small_enough_keeps_all_and_each_keeps_one() -> None:
    own = labels((100, 20, 50))
    assert np.bincount(own[long_tail(own, 2.0, 0)]).tolist() == [100, 20, 50]
    assert np.bincount(own[long_tail(own, 1e9, 0)]).tolist() == [100, 1, 1]
    assert long_tail(own, 1.0, 0).tolist() == list(range(170))
    assert long_tail(np.zeros(5, np.int64), 10.0, 0).tolist() == [0, 1, 2, 3, 4]


def test_a_longer_tail_keeps_a_part_of_a_shorter_one_and_the_seed_decides_which() -> None:
    own = labels()
    short, long, other = long_tail(own, 4.0, 0), long_tail(own, 40.0, 0), long_tail(own, 40.0, 1)
    assert set(long.tolist()) < set(short.tolist()) and long.tolist() != other.tolist()
    assert np.bincount(own[long]).tolist() == np.bincount(own[other]).tolist()
