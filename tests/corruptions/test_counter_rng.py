"""The counter-based generator: known answers, independence of the batch, and moments."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from impasto.corruptions import counter_rng
from impasto.corruptions.counter_rng import CounterRng, philox

MASK = 0xFFFFFFFF


def encipher_one(counter: list[int], key: list[int]) -> list[int]:
    """Philox-4x32-10 in Python's unbounded integers, straight from the paper's definition."""
    for round_ in range(10):
        keys = [(key[0] + round_ * 0x9E3779B9) & MASK, (key[1] + round_ * 0xBB67AE85) & MASK]
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (right >> 32) ^ counter[1] ^ keys[0],
            right & MASK,
            (left >> 32) ^ counter[3] ^ keys[1],
            left & MASK,
        ]
    return counter


KNOWN = [
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([MASK] * 4, [MASK] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: list[int], key: list[int], answer: str) -> None:
    words = philox(torch.tensor(counter)[:, None], (key[0], key[1]))
    assert " ".join(f"{int(word):08x}" for word in words) == answer


def test_equals_unbounded_integers() -> None:
    counters = torch.randint(0, 2**32, (4, 50), generator=torch.Generator().manual_seed(1))
    words = torch.stack(philox(counters.clone(), (0xDEADBEEF, 0x12345678)))
    for column in range(50):
        assert words[:, column].tolist() == encipher_one(counters[:, column].tolist(), [0xDEADBEEF, 0x12345678])


def test_words_place_position_lane_and_id_in_the_counter() -> None:
    identity, key = (7 << 32) + 9, (3 << 32) + 11
    words = torch.stack(CounterRng(key, torch.tensor([5, identity])).words(4, lane=2))
    assert words[:, 1, 3].tolist() == encipher_one([3, 2, 9, 7], [11, 3])


@pytest.mark.parametrize("method", ["uniforms", "halves", "normals"])
def test_stream_depends_on_the_id_alone(method: str) -> None:
    def draw(ids: torch.Tensor, key: int = 77, lane: int = 0) -> torch.Tensor:
        return getattr(CounterRng(key, ids), method)(37, lane)

    ids = torch.tensor([3, 2**40 + 3, 5, 0, -1])
    batch = draw(ids)
    assert batch.shape == (5, 37)
    assert torch.equal(draw(ids.flip(0)).flip(0), batch)
    assert torch.equal(torch.cat([draw(one[None]) for one in ids]), batch)
    assert len(batch.unique(dim=0)) == 5
    assert not torch.equal(draw(ids, key=78), batch)
    assert not torch.equal(draw(ids, lane=1), batch)


def test_uniforms_fill_the_open_unit_interval() -> None:
    values = CounterRng(1, torch.arange(64)).uniforms(2048).flatten().numpy()
    assert 0 < values.min() < 1e-4
    assert 1 - 1e-4 < values.max() < 1
    # The distance of a true sample of n exceeds 1.63 / sqrt(n) in 1 % of cases.
    assert stats.kstest(values, "uniform").statistic < 1.63 / math.sqrt(values.size)


def test_halves_are_uniform_and_uncorrelated() -> None:
    values = CounterRng(2, torch.arange(64)).halves(2048).double().numpy() / 2**16
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 4 / math.sqrt(12 * values.size)
    for shift in (1, 256, 512, 1024):  # neighbours, and the parts of one block
        left, right = values[:, :-shift].ravel(), values[:, shift:].ravel()
        assert abs(np.corrcoef(left, right)[0, 1]) < 4 / math.sqrt(left.size)


def test_normals_are_normal() -> None:
    values = CounterRng(3, torch.arange(128)).normals(3072).double().flatten().numpy()
    count = values.size
    assert abs(values.mean()) < 4 / math.sqrt(count)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs(stats.kurtosis(values)) < 4 * math.sqrt(24 / count)
    assert stats.kstest(values, "norm").statistic < 1.63 / math.sqrt(count)


def test_normal_tables_have_the_moments_of_the_normal() -> None:
    radii, cosines, sines = (table.double() for table in counter_rng._box_muller(torch.device("cpu")))
    assert radii.square().mean().item() == pytest.approx(2, abs=1e-6)
    assert cosines.square().mean().item() == pytest.approx(0.5, abs=1e-7)
    assert (cosines * sines).mean().item() == pytest.approx(0, abs=1e-7)
    fourth = radii.pow(4).mean().item() * cosines.pow(4).mean().item()
    assert fourth == pytest.approx(3, abs=1e-3)
    assert 4.8 < radii.max() < 5
