"""The plan of an epoch: realised shares, pairing across a sweep, replay, class balance."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.mix import Mix
from impasto.mix import Plan, draw_plan, draw_rows, interleave
from impasto.rng import generator
from tiny import mix

SHARES = st.floats(0, 1, allow_nan=False)


def labels(n: int, classes: int = 10) -> Tensor:
    return torch.arange(n) % classes


def plan(
    mixed: Mix | None = None,
    *,
    n: int = 1000,
    m: int = 600,
    strength: float = 0.0,
    seed: int = 0,
    epoch: int = 0,
    batch: int = 128,
) -> Plan:
    return draw_plan(
        labels(n), labels(m), mixed or mix(), strength=strength, styles=50, batch=batch, seed=seed, epoch=epoch
    )


@settings(deadline=None, max_examples=300)
@given(n=st.integers(1, 400), share=SHARES, batch=st.integers(1, 420))
def test_every_batch_holds_its_share(n: int, share: float, batch: int) -> None:
    mask = interleave(n, share, batch)
    assert abs(int(mask.sum()) - share * n) <= 0.5 + 1e-9
    for part in mask.split(batch):
        assert abs(int(part.sum()) - share * len(part)) < 1 + 1e-9
        assert part.long().diff().ge(0).all(), "within a batch the synthetic places come last"


def test_the_share_of_a_batch_when_rounding_is_hardest() -> None:
    """3 of 20 places in batches of 6, but the share lies just below a half: 0.17 of 6 is one place, not two."""
    counts = [int(part.sum()) for part in interleave(20, 0.174995, 6).split(6)]
    assert counts == [1, 1, 1, 0]


def test_no_and_all_synthetic() -> None:
    assert not interleave(100, 0.0, 7).any() and interleave(100, 1.0, 7).all()
    only = plan(mix(lambda_=1.0))
    assert only.synthetic.all() and only.shares()["share_stylised_o"] == 0


def test_realised_shares_lie_within_binomial_bounds() -> None:
    n, wanted = 40_000, mix(lambda_=0.25, lambda_o=0.1, lambda_s=0.7)
    shares = plan(wanted, n=n, m=9000).shares()
    assert shares["share_synthetic"] == 0.25
    for name, p, size in (("o", 0.1, 0.75 * n), ("s", 0.7, 0.25 * n)):
        assert abs(shares[f"share_stylised_{name}"] - p) < 4 * math.sqrt(p * (1 - p) / size)


def test_shares_are_those_of_the_table() -> None:
    drawn = plan()
    stylised = drawn.stylised[drawn.synthetic]
    assert drawn.shares()["share_stylised_s"] == pytest.approx(int(stylised.sum()) / len(stylised))


@settings(deadline=None, max_examples=40)
@given(low=SHARES, high=SHARES, seed=st.integers(0, 1000))
def test_raising_lambda_s_only_adds_stylised_images(low: float, high: float, seed: int) -> None:
    low, high = sorted((low, high))
    few, many = (plan(mix(lambda_s=value), n=200, m=150, seed=seed) for value in (low, high))
    assert not (few.stylised & ~many.stylised).any()
    assert torch.equal(few.stylised[~few.synthetic], many.stylised[~many.synthetic]), "originals are left alone"
    for name in ("synthetic", "row", "copy", "style", "alpha", "fresh"):
        assert torch.equal(getattr(few, name), getattr(many, name)), name


def test_raising_lambda_keeps_the_order_in_which_originals_are_drawn() -> None:
    few, many = plan(mix(lambda_=0.2)), plan(mix(lambda_=0.2, lambda_o=1.0))
    assert torch.equal(few.row, many.row)


def test_plans_replay_bit_for_bit_and_differ_between_epochs_and_seeds() -> None:
    first, again, later, other = plan(), plan(), plan(epoch=1), plan(seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for name in ("row", "stylised", "style", "alpha", "fresh"):
        assert not torch.equal(getattr(first, name), getattr(later, name)), name
        assert not torch.equal(getattr(first, name), getattr(other, name)), name


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    plan()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("combine_o", ["and", "or"])
@pytest.mark.parametrize("combine_s", ["and", "or"])
def test_and_means_both_and_or_means_either(combine_o: str, combine_s: str) -> None:
    drawn = plan(mix(combine_o=combine_o, combine_s=combine_s))
    both = torch.where(drawn.synthetic, torch.tensor(combine_s == "and"), torch.tensor(combine_o == "and"))
    assert torch.equal(drawn.trivial, ~drawn.stylised | both)
    assert drawn.stylised.any() and not drawn.stylised.all()


@settings(deadline=None, max_examples=40)
@given(ends=st.lists(SHARES, min_size=4, max_size=4))
def test_alpha_lies_inside_its_interval(ends: list[float]) -> None:
    o, s = sorted(ends[:2]), sorted(ends[2:])
    drawn = plan(mix(alpha_o=o, alpha_s=s), n=200)
    for (low, high), values in ((o, drawn.alpha[~drawn.synthetic]), (s, drawn.alpha[drawn.synthetic])):
        assert values.dtype == torch.float32
        assert low - 1e-6 <= float(values.min()) and float(values.max()) <= high + 1e-6
        assert float(values.min()) >= 0 and float(values.max()) <= 1


def test_alpha_fills_its_interval_evenly_and_ignores_what_else_is_drawn() -> None:
    drawn = plan(mix(lambda_=1.0, alpha_s=[0.2, 0.6]), n=20_000, m=500)
    assert float(drawn.alpha.mean()) == pytest.approx(0.4, abs=0.005)
    assert float(drawn.alpha.std()) == pytest.approx(0.4 / math.sqrt(12), abs=0.005)
    table = torch.stack([drawn.alpha, drawn.fresh, drawn.style.float(), drawn.stylised.float(), drawn.row.float()])
    off_diagonal = torch.corrcoef(table) - torch.eye(5)
    assert float(off_diagonal.abs().max()) < 0.03


def test_styles_are_in_the_bank_and_even() -> None:
    found = plan(n=20_000).style.bincount(minlength=50)
    assert len(found) == 50 and float(found.min()) > 300 and float(found.max()) < 500


def test_no_styles_are_no_error() -> None:
    drawn = draw_plan(labels(9), labels(9), mix(), strength=0.0, styles=0, batch=4, seed=0, epoch=0)
    assert drawn.style.eq(0).all()


@settings(deadline=None, max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    n=st.integers(0, 200),
    strength=SHARES | st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 99),
)
def test_rows_come_again_only_after_their_whole_group(sizes: list[int], n: int, strength: float, seed: int) -> None:
    found = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    row, copy = draw_rows(found, n, strength, generator(seed, "test"))
    assert len(row) == len(copy) == n and (n == 0 or 0 <= int(row.min()) <= int(row.max()) < len(found))
    assert len(set(zip(row.tolist(), copy.tolist(), strict=True))) == n, "a row and its copy number are unique"
    times = row.bincount(minlength=len(found))
    groups = [torch.arange(len(found))] if strength == 0 else [(found == c).nonzero()[:, 0] for c in range(len(sizes))]
    for group in groups:
        assert int(times[group].max() - times[group].min()) <= 1
    for index in row.unique().tolist():
        assert sorted(copy[row == index].tolist()) == list(range(int(times[index])))


@settings(deadline=None, max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=5),
    n=st.integers(1, 300),
    strength=st.floats(0.001, 1),
    seed=st.integers(0, 99),
)
def test_classes_get_their_share(sizes: list[int], n: int, strength: float, seed: int) -> None:
    """Class c is drawn in proportion to n_c^(1 - strength), to within one image."""
    found = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    row, _ = draw_rows(found, n, strength, generator(seed, "test"))
    weights = [size ** (1 - strength) for size in sizes]
    for label, weight in enumerate(weights):
        assert abs(int((found[row] == label).sum()) - n * weight / sum(weights)) < 1 + 1e-6


def test_full_balance_is_uniform_and_none_leaves_every_image_once() -> None:
    found = torch.repeat_interleave(torch.arange(3), torch.tensor([600, 300, 100]))
    even, _ = draw_rows(found, 999, 1.0, generator(0, "test"))
    assert found[even].bincount().tolist() == [333, 333, 333]
    plain, copy = draw_rows(found, 1000, 0.0, generator(0, "test"))
    assert torch.equal(plain.sort().values, torch.arange(1000)) and copy.eq(0).all()


def test_rounding_favours_no_class() -> None:
    """Two draws over three classes: over many seeds each class is expected two thirds of a time."""
    found = torch.arange(3)
    drawn = [draw_rows(found, 2, 1.0, generator(seed, "test"))[0] for seed in range(600)]
    assert torch.cat(drawn).bincount().float().div(600).tolist() == pytest.approx([2 / 3] * 3, abs=0.07)


def test_balance_without_synthetic_images() -> None:
    drawn = draw_plan(labels(30), labels(0), mix(lambda_=0.0), strength=0.5, styles=3, batch=8, seed=0, epoch=0)
    assert len(drawn.row) == 30 and not drawn.synthetic.any()


def test_balance_shapes_both_streams() -> None:
    skewed = torch.repeat_interleave(torch.arange(2), torch.tensor([900, 100]))
    drawn = draw_plan(skewed, skewed, mix(), strength=1.0, styles=3, batch=100, seed=0, epoch=0)
    for mask in (drawn.synthetic, ~drawn.synthetic):
        assert skewed[drawn.row[mask]].bincount().tolist() == [250, 250]
    assert int(drawn.copy.max()) == 2 and drawn.copy[skewed[drawn.row] == 0].eq(0).all()


def test_batches_cut_the_plan_in_order() -> None:
    assert plan(n=300, batch=128).batches(128) == [slice(0, 128), slice(128, 256), slice(256, 300)]
