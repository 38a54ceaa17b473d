"""Divisions that keep groups whole, against what the best one could be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from impasto.data.grouped import components, grouped
from impasto.errors import ImpastoError
from impasto.rng import numpy_generator


def works(groups: int = 76, images: int = 8446, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of four classes, in the shares of KaoKore, and groups of many sizes with mixtures of their own."""
    source = np.random.default_rng(seed)
    sizes = source.dirichlet(np.full(groups, 0.6))
    mixtures = source.dirichlet(np.array([3175, 2298, 644, 639]) / 3000, groups)
    of = np.concatenate([np.arange(groups).repeat(2), source.choice(groups, images - 2 * groups, p=sizes)])
    return np.array([source.choice(4, p=mixtures[group]) for group in of]), of


def shares(labels: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bincount(labels[second], minlength=labels.max() + 1) / np.bincount(labels)


@pytest.mark.parametrize("share", [0.1, 0.125, 0.2, 0.5])
def test_no_group_is_divided_and_every_class_gives_its_share(share: float) -> None:
    labels, groups = works()
    first, second = grouped(labels, groups, share, numpy_generator(0, "test"))
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert not set(groups[first]) & set(groups[second])
    assert np.abs(shares(labels, second) - share).max() < 0.02 and abs(len(second) / len(labels) - share) < 0.01
    assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()


def test_the_seed_alone_decides() -> None:
    labels, groups = works()
    found = [grouped(labels, groups, 0.2, numpy_generator(seed, "test"))[1] for seed in (0, 0, 1)]
    assert np.array_equal(found[0], found[1]) and set(groups[found[0]]) != set(groups[found[2]])
    order = (
        np.random.default_rng(1).permutation(76) + 1000
    )  # the numbers of the groups mean nothing but who belongs together
    renamed = np.sort(order)[groups]
    assert np.array_equal(grouped(labels, renamed, 0.2, numpy_generator(0, "test"))[1], found[0])


@pytest.mark.parametrize("seed", range(6))
def test_nearly_as_good_as_the_best_of_all(seed: int) -> None:
    """Among the 2^11 divisions of 11 groups."""
    labels, groups = works(11, 300, seed)
    sizes = np.array([np.bincount(labels[groups == group], minlength=4) for group in range(11)])
    table = np.column_stack([sizes / sizes.sum(0), sizes.sum(1) / 300])

    def cost(chosen: np.ndarray) -> float:
        parts = chosen @ table
        lacking = (chosen @ sizes == 0).any() or ((1 - chosen) @ sizes == 0).any()
        return float(np.square(parts - 0.3).sum()) + 10 * lacking

    best = min(cost(np.array(chosen)) for chosen in product((0, 1), repeat=11))
    second = grouped(labels, groups, 0.3, numpy_generator(seed, "test"))[1]
    mine = cost(np.isin(np.arange(11), groups[second]).astype(int))
    assert best <= mine + 1e-12 and mine <= 2 * best + 1e-3


def test_groups_of_one_are_a_stratified_division() -> None:
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    second = grouped(labels, np.arange(160), 0.2, numpy_generator(0, "test"))[1]
    assert np.bincount(labels[second]).tolist() == [20, 10, 2]


def test_what_cannot_be() -> None:
    with pytest.raises(ImpastoError, match="all images of class monk are of one group"):
        grouped(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 0.5, numpy_generator(0, "test"), ("lord", "monk"))
    labels, groups = np.array([0, 1, 0, 2, 1, 2]), np.array([0, 0, 1, 1, 2, 2])  # one of three has to be alone
    with pytest.raises(ImpastoError, match="no way was found"):
        grouped(labels, groups, 0.5, numpy_generator(0, "test"))


def test_linked_items() -> None:
    keys: list[list[object]] = [["a"], ["b"], [], ["a", "c"], ["d"], ["c"], ["b", "e"], ["e", "d"], []]
    assert components(keys).tolist() == [0, 1, 2, 0, 1, 0, 1, 1, 3]
    assert components([]).tolist() == []
    chain = [[n, n + 1] for n in range(5000)]
    assert not components(chain).any() and not components(chain[::-1]).any()
