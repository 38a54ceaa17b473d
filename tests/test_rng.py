"""Draws depend on nothing but their names."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.rng import generator, key, numpy_generator


def test_golden_keys() -> None:
    """The same on every platform and in every version: a changed key would change every result."""
    assert key(0, "plan") == GOLDEN[0]
    assert key(7, "rows-original", 12) == GOLDEN[1]
    assert key(7, "rows", "original", 12) == GOLDEN[2]


GOLDEN = (3897805607007773204, 7794879957555560513, 5886607437506267458)


@given(st.integers(0, 2**40), st.text(), st.lists(st.integers() | st.text(), max_size=3))
def test_keys_fit_a_signed_64_bit_integer(seed: int, purpose: str, counters: list[int | str]) -> None:
    found = key(seed, purpose, *counters)
    assert 0 <= found < 2**63 and found == key(seed, purpose, *counters)


def test_different_names_give_different_keys() -> None:
    names = [(seed, purpose, *counters) for seed, purpose, n in itertools.product(range(20), ("a", "b", "ab"), range(4))
             for counters in itertools.product(range(3), repeat=n)]  # fmt: skip
    assert len({key(*name) for name in names}) == len(names)


def test_generators_replay_and_differ() -> None:
    one, again, other = (torch.rand(5, generator=generator(0, name, 1)) for name in ("a", "a", "b"))
    assert torch.equal(one, again) and not torch.equal(one, other)
    first, second, third = (numpy_generator(0, name, 1).random(5) for name in ("a", "a", "b"))
    assert np.array_equal(first, second) and not np.array_equal(first, third)


def test_numpy_integers_count_as_integers() -> None:
    assert key(int(np.int64(3)), "a", int(np.int64(2))) == key(3, "a", 2)
    assert key(np.int64(3), "a") == key(3, "a")  # type: ignore[arg-type]


def test_global_generators_are_left_alone() -> None:
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()
    generator(0, "a"), numpy_generator(0, "a")
    assert torch.equal(before, torch.get_rng_state()) and np.array_equal(state, np.random.get_state()[1])
