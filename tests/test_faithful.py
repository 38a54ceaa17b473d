"""Stylisation drawn as the paper's code draws it: exact counts, groups of 50, one strength each, no style twice."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from impasto.config.mix import Mix
from impasto.errors import ImpastoError
from impasto.faithful import GROUP, FaithfulDraws, faithful_draws
from impasto.mix import draw_plan, interleave
from impasto.rng import generator
from impasto.style.stylize import UNPAINTED
from tiny import mix

SHARES = st.floats(0, 1, allow_nan=False)


def drawn(
    mixed: Mix | None = None, *, n: int = 2000, styles: int = 120, seed: int = 0, epoch: int = 0, painted: float = 0.95
) -> tuple[Tensor, FaithfulDraws]:
    mixed = mixed or mix(alpha_o=[0.2, 0.7], alpha_s=[0.1, 1.0])
    synthetic = interleave(n, mixed.lambda_, 128)
    return synthetic, faithful_draws(synthetic, mixed, styles=styles, seed=seed, epoch=epoch, painted=painted)


def groups(found: FaithfulDraws, mask: Tensor) -> list[Tensor]:
    """Rows of one stream's groups, recognised by their strength, which no other group has."""
    rows = (found.stylised & mask).nonzero()[:, 0]
    return [rows[found.alpha[rows] == alpha] for alpha in found.alpha[rows].unique()]


@settings(deadline=None, max_examples=60)
@given(n=st.integers(0, 700), share=SHARES, o=SHARES, s=SHARES, painted=SHARES, seed=st.integers(0, 99))
def test_counts_are_exact(n: int, share: float, o: float, s: float, painted: float, seed: int) -> None:
    mixed = mix(lambda_=share, lambda_o=o, lambda_s=s, alpha_o=[0.2, 0.7], alpha_s=[0.1, 1.0])
    synthetic, found = drawn(mixed, n=n, seed=seed, painted=painted)
    for mask, p in ((~synthetic, o), (synthetic, s)):
        count = int(int(mask.sum()) * p)
        assert int((found.stylised & mask).sum()) == count
        sizes = sorted((len(rows) for rows in groups(found, mask)), reverse=True)
        whole, rest = divmod(count, GROUP)
        assert sizes == [GROUP] * whole + [rest] * (rest > 0)
        for rows in groups(found, mask):
            kept = int((found.style[rows] != UNPAINTED).sum())
            assert kept in {math.floor(len(rows) * painted), min(math.floor(len(rows) * painted) + 1, len(rows))}
            used = found.style[rows][found.style[rows] != UNPAINTED]
            assert len(used.unique()) == len(used), "no style twice within a group"
    assert found.alpha[~found.stylised].eq(0).all() and found.style[~found.stylised].eq(0).all()
    assert found.style.dtype == torch.int64 and found.alpha.dtype == torch.float32


def test_47_or_48_of_50_evenly() -> None:
    synthetic, found = drawn(mix(lambda_=0.5, lambda_s=1.0, alpha_s=[0.1, 1.0]), n=40_000)
    each = groups(found, synthetic)
    kept = torch.tensor([int((found.style[rows] >= 0).sum()) for rows in each])
    assert len(kept) == 400 and set(kept.tolist()) == {47, 48}
    assert abs(float(kept.float().mean()) - 47.5) < 4 * 0.5 / math.sqrt(400)
    strengths = torch.stack([found.alpha[rows[0]] for rows in each])
    assert abs(float(torch.corrcoef(torch.stack([kept.float(), strengths]))[0, 1])) < 4 / math.sqrt(400)


@pytest.mark.parametrize(("painted", "kept"), [(1.0, 50), (0.0, 0), (0.9, 45)])
def test_a_whole_number_leaves_nothing_to_chance(painted: float, kept: int) -> None:
    synthetic, found = drawn(mix(lambda_=0.5, lambda_s=1.0, alpha_s=[0.1, 1.0]), n=4000, painted=painted)
    assert {int((found.style[rows] >= 0).sum()) for rows in groups(found, synthetic)} == {kept}


def test_strengths_are_uniform_between_their_bounds_one_per_group() -> None:
    synthetic, found = drawn(
        mix(lambda_=0.5, lambda_o=0.8, lambda_s=1.0, alpha_o=[0.4, 0.5], alpha_s=[0.1, 1.0]), n=60_000
    )
    for mask, (low, high) in ((~synthetic, (0.4, 0.5)), (synthetic, (0.1, 1.0))):
        values = found.alpha[mask & found.stylised].unique()
        assert kstest((values.numpy() - low) / (high - low), "uniform").pvalue > 0.01
        assert low <= float(values.min()) and float(values.max()) <= high + 1e-6


def test_styles_and_places_are_even() -> None:
    """Neither a style nor a place in the epoch is preferred, and groups lie all over the epoch."""
    synthetic, found = drawn(mix(lambda_=0.5, lambda_s=0.5, alpha_s=[0.1, 1.0]), n=40_000, styles=60)
    used = found.style[found.stylised & (found.style >= 0) & synthetic].bincount(minlength=60).double()
    assert (used / used.sum() * 60 - 1).abs().max() < 0.25
    halves = (found.stylised & synthetic).view(2, -1).sum(1).double()
    assert abs(float(halves[0] - halves[1])) < 4 * math.sqrt(10_000)
    assert all(int(rows.max() - rows.min()) > 20_000 for rows in groups(found, synthetic))


@settings(deadline=None, max_examples=30)
@given(low=SHARES, high=SHARES, seed=st.integers(0, 99))
def test_raising_lambda_s_only_adds_images(low: float, high: float, seed: int) -> None:
    low, high = sorted((low, high))
    (synthetic, few), (_, many) = (
        drawn(mix(lambda_s=value, alpha_s=[0.1, 1.0]), n=900, seed=seed) for value in (low, high)
    )
    assert not (few.stylised & ~many.stylised).any()
    assert torch.equal(few.alpha[few.stylised], many.alpha[few.stylised])
    for name in FaithfulDraws._fields:
        assert torch.equal(getattr(few, name)[~synthetic], getattr(many, name)[~synthetic]), name
    whole = torch.cat([torch.zeros(0, dtype=torch.int64), *(r for r in groups(few, synthetic) if len(r) == GROUP)])
    assert torch.equal(few.style[whole], many.style[whole])


@pytest.mark.parametrize("combine_o", ["and", "or"])
@pytest.mark.parametrize("combine_s", ["and", "or"])
def test_images_that_are_only_resampled_count_as_stylised(combine_o: str, combine_s: str) -> None:
    synthetic, found = drawn(mix(combine_o=combine_o, combine_s=combine_s))
    both = torch.where(synthetic, torch.tensor(combine_s == "and"), torch.tensor(combine_o == "and"))
    assert torch.equal(found.trivial, ~found.stylised | both)
    assert (found.style == UNPAINTED).any() and found.stylised[found.style == UNPAINTED].all()


def test_draws_replay_and_differ_between_epochs_seeds_and_streams() -> None:
    before = torch.get_rng_state()
    first, again, later, other = (drawn(**keys)[1] for keys in ({}, {}, {"epoch": 1}, {"seed": 1}))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for name in ("stylised", "style", "alpha"):
        assert not torch.equal(getattr(first, name), getattr(later, name)), name
        assert not torch.equal(getattr(first, name), getattr(other, name)), name
    same = mix(lambda_o=0.6, lambda_s=0.6, alpha_o=[0.1, 1.0], alpha_s=[0.1, 1.0])
    synthetic, found = drawn(same)
    assert not set(found.alpha[found.stylised & synthetic].tolist()) & set(
        found.alpha[found.stylised & ~synthetic].tolist()
    )


def test_too_few_styles_are_an_error() -> None:
    drawn(styles=50, painted=1.0)
    drawn(mix(lambda_o=0.0, lambda_s=0.0), styles=0)
    with pytest.raises(ImpastoError, match=r"50 images of one group .* 49 styles.*style\.count.*at least 50"):
        drawn(styles=49, painted=1.0)


def test_the_columns_fit_a_plan() -> None:
    mixed = mix(alpha_s=[0.1, 1.0])
    labels = torch.randint(0, 4, (600,), generator=generator(0, "test-labels"))
    plan = draw_plan(labels, labels[:400], mixed, strength=0.0, styles=60, batch=64, seed=0, epoch=0)
    found = faithful_draws(plan.synthetic, mixed, styles=60, seed=0, epoch=0)
    replaced = plan._replace(**found._asdict())
    for name in FaithfulDraws._fields:
        ours, theirs = getattr(replaced, name), getattr(plan, name)
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, name
    assert replaced.shares()["share_stylised_s"] == int(300 * mixed.lambda_s) / 300
