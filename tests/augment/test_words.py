"""Random words are uniform, serve batches in order, and give masks of the wanted share."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from impasto.augment import words
from impasto.rng import generator

ALL = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16)


def test_every_bit_is_set_half_of_the_time_and_independent_of_its_neighbours() -> None:
    n = 40000
    drawn = words.draw((n // 4, 4), generator(0, "words")).flatten().int()
    bits = (drawn.unsqueeze(1) >> torch.arange(16)) & 1
    low, high = stats.binom.interval(1 - 1e-5, n, 0.5)
    assert all(low <= int(count) <= high for count in bits.sum(0))
    equal = (bits[:, 1:] == bits[:, :-1]).sum(0)
    assert all(low <= int(count) <= high for count in equal)
    assert stats.kstest(words.uniform(drawn).numpy(), "uniform").pvalue > 0.001


@pytest.mark.parametrize("row", [(3,), (4,), (2, 3, 7)])
def test_two_calls_give_the_words_of_one(row: tuple[int, ...]) -> None:
    together, source = words.draw((9, *row), generator(1, "words")), generator(1, "words")
    parts = [words.draw((n, *row), source) for n in (4, 0, 5)]
    assert together.shape == (9, *row) and torch.equal(torch.cat(parts), together)


@pytest.mark.parametrize("share", [0.0, 1 / 65536, 0.3, 0.65, 1 - 1 / 65536, 1.0])
def test_the_share_of_words_below_a_level(share: float) -> None:
    below = 65536 - int(words.reach(ALL, words.level(share)).sum())
    assert below == round(share * 65536)


def test_uniform_numbers_are_evenly_spaced_and_never_reach_the_ends() -> None:
    uniform, signed = words.uniform(ALL).double(), words.signed(ALL).double()
    assert uniform.min() > 0 and uniform.max() < 1 and float(uniform.mean()) == 0.5
    assert signed.min() > -1 and signed.max() < 1 and float(signed.mean()) == 0
    assert torch.equal(uniform.diff(), torch.full((65535,), 1 / 65536, dtype=torch.float64))
    assert torch.equal(signed.diff(), torch.full((65535,), 2 / 65536, dtype=torch.float64))


def test_golden_words() -> None:
    assert words.draw((1, 4), generator(2, "words"))[0].tolist() == [26553, -459, 4252, -9703]
