"""Dividing images so that what belongs together stays together, and every class still gives about its share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from impasto.errors import ImpastoError

STARTS = 8
"""Seeded first guesses, of which the one that ends best is taken."""


def components(keys: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """Number the sets of items that are linked by common keys, directly or over others.

    Args:
        keys: for each of N items the keys that it has, e.g. its page and its book; an item without one stands alone.

    Returns:
        int64 [N], numbers from 0 in the order in which the sets first appear.
    """
    parents = list(range(len(keys)))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = item = parents[parents[item]]  # halves the way for the next one
        return item

    owners: dict[Hashable, int] = {}
    for item, mine in enumerate(keys):
        for one in mine:
            first, second = root(owners.setdefault(one, item)), root(item)
            parents[max(first, second)] = min(first, second)
    roots = [root(item) for item in range(len(keys))]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[one] for one in roots], np.int64)


def grouped(
    labels: np.ndarray,
    groups: np.ndarray,
    share: float,
    generator: np.random.Generator,
    classes: tuple[str, ...] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows without dividing a group.

    Whole groups rarely give every class exactly its share, and the best choice among 2^G is out of reach: from seeded
    guesses, groups move over or change places as long as the squared differences from ``share`` of every class and of
    the whole become smaller.

    Args:
        labels: int64 [N].
        groups: int64 [N], rows with one number stay together.
        share: fraction in (0, 1) that should go to the second part.
        generator: source of the guesses.
        classes: names of the classes, for the error.

    Returns:
        Two sorted int64 index arrays that together hold every row once.

    Raises:
        ImpastoError: a class cannot be in both parts, e.g. since all of its images are of one group.
    """
    found, inverse = np.unique(labels, return_inverse=True)
    names, places = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(found)))
    np.add.at(counts, (places, inverse), 1)
    _require_spread(counts, found, classes)
    table = np.column_stack([counts / counts.sum(0), counts.sum(1) / len(labels)])
    ends = [_settle(table, _guess(table[:, -1], share, generator), share) for _ in range(STARTS)]
    second = min(ends, key=lambda chosen: float(_cost(chosen @ table, share)))
    if missing := [_name(int(label), classes) for label in found if _lacks(labels, second[places], label)]:
        raise _stuck(f"no way was found to give both parts images of class {missing[0]} without dividing a group")
    return np.flatnonzero(~second[places]), np.flatnonzero(second[places])


def _require_spread(counts: np.ndarray, found: np.ndarray, classes: tuple[str, ...]) -> None:
    lone = np.flatnonzero((counts > 0).sum(0) < 2)
    if len(lone):
        name = _name(int(found[lone[0]]), classes)
        raise _stuck(f"all images of class {name} are of one group, which is not divided")


def _name(label: int, classes: tuple[str, ...]) -> str:
    return classes[label] if classes else str(label)


def _stuck(what: str) -> ImpastoError:
    return ImpastoError(what, where="dataset", remedy="Choose another split, or add images from another source.")


def _lacks(labels: np.ndarray, second: np.ndarray, label: int) -> bool:
    mine = second[labels == label]
    return bool(mine.all() or not mine.any())


def _guess(sizes: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Mask [G]: groups in a random order, as long as the share is not exceeded."""
    order = generator.permutation(len(sizes))
    chosen = np.zeros(len(sizes), bool)
    chosen[order] = np.cumsum(sizes[order]) <= share
    return chosen


def _settle(table: np.ndarray, chosen: np.ndarray, share: float) -> np.ndarray:
    """Move the one group, or exchange the two, that helps most, until nothing helps."""
    while True:
        now = chosen @ table
        steps = np.where(chosen[:, None], -table, table)  # what each group changes when it moves over
        ins, outs = np.flatnonzero(~chosen), np.flatnonzero(chosen)
        moves = _cost(now + steps, share)
        swaps = _cost(now + steps[ins][:, None] + steps[outs][None], share).reshape(len(ins), len(outs))
        best_move, best_swap = float(moves.min()), float(swaps.min(initial=np.inf))
        if min(best_move, best_swap) >= _cost(now, share) - 1e-12:
            return chosen
        chosen = chosen.copy()
        if best_move <= best_swap:
            chosen[int(moves.argmin())] ^= True
        else:
            row, column = np.unravel_index(int(swaps.argmin()), swaps.shape)
            chosen[[ins[row], outs[column]]] ^= True


def _cost(shares: np.ndarray, share: float) -> np.ndarray:
    """Over the last axis: squared differences, and one more for each class that is missing from either part."""
    missing = (shares < 1e-9) | (shares > 1 - 1e-9)
    cost: np.ndarray = np.square(shares - share).sum(-1) + missing.sum(-1)
    return cost
