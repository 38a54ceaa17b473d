"""The counter-based generator: known answers, independence of the batch, and moments."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from impasto.corruptions import counter_rng
from impasto.corruptions.counter_rng import CounterRng, mix

MASK = 0xFFFFFFFFFFFFFFFF
GAMMA = 0x9E3779B97F4A7C15


def finalise(word: int) -> int:
    """The hash of SplitMix64 in Python's unbounded integers, straight from the paper's definition."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & MASK
    return word ^ (word >> 31)


def split_mix(seed: int, count: int) -> list[int]:
    return [finalise(seed + GAMMA * step & MASK) for step in range(1, count + 1)]


def unsigned(words: torch.Tensor) -> list[int]:
    return [word & MASK for word in words.tolist()]


def signed(word: int) -> int:
    return word - 2**64 if word >> 63 else word


KNOWN = [
    (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]),
    (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]),
]


@pytest.mark.parametrize(("seed", "answer"), KNOWN)
def test_known_answers(seed: int, answer: list[int]) -> None:
    states = torch.tensor([signed(seed + GAMMA * step & MASK) for step in range(1, 5)])
    assert unsigned(mix(states)) == split_mix(seed, 4) == answer


def test_hash_equals_unbounded_integers() -> None:
    words = torch.randint(-(2**63), 2**63 - 1, (200,), generator=torch.Generator().manual_seed(1))
    expected = [finalise(word & MASK) for word in words.tolist()]
    assert unsigned(mix(words)) == expected


def test_streams_start_at_a_hash_of_key_lane_and_id() -> None:
    identity, key, lane = (7 << 32) + 9, (3 << 60) + 11, 2
    first = finalise(identity + key + lane * 0xD1B54A32D192ED03 & MASK)
    words = CounterRng(key, torch.tensor([5, identity])).bits(6, lane=lane)
    assert unsigned(words[1]) == split_mix(finalise(first ^ key), 6)


def test_streams_of_neighbouring_keys_lanes_and_ids_share_no_word() -> None:
    drawn = [CounterRng(key, torch.arange(200)).bits(64, lane).flatten() for key in (0, 1, 2**62) for lane in (0, 1, 2)]
    assert len(torch.cat(drawn).unique()) == 9 * 200 * 64


@pytest.mark.parametrize("bit", [0, 1, 9, 31, 40, 63])
def test_one_bit_of_an_id_flips_half_of_the_bits(bit: int) -> None:
    ids = torch.arange(4096) * 1001  # so that no id is another one with the bit flipped
    left, right = (CounterRng(5, each).bits(1) for each in (ids, ids ^ signed(1 << bit)))
    flipped = ((left ^ right) >> torch.arange(64)) & 1
    shares = flipped.double().mean(dim=0)
    assert (shares - 0.5).abs().max() < 4.5 * 0.5 / math.sqrt(len(ids))


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
    for shift in (1, 2, 3, 4, 512, 1024):  # neighbours, and the parts of one word
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
