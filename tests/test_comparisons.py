"""Paired differences, Holm's intervals and rank correlations, against scipy and against plain enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from impasto.comparisons import correlation_over_seeds, effect, holm, paired, probability, rank_correlation, side
from impasto.metrics import Interval

OURS = [0.71, 0.74, 0.70, 0.75, 0.73]
THEIRS = [0.70, 0.72, 0.70, 0.71, 0.74]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_an_effect_is_the_paired_t_interval(level: float) -> None:
    found, reference = effect(paired(OURS, THEIRS), level), stats.ttest_rel(OURS, THEIRS)
    assert found.mean == pytest.approx(np.mean(OURS) - np.mean(THEIRS)) and found.level == level
    assert list(found.interval) == pytest.approx(list(reference.confidence_interval(level)))
    assert probability(paired(OURS, THEIRS)) == pytest.approx(reference.pvalue)


def test_seeds_must_match_and_one_gives_no_interval() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired(OURS, THEIRS[:4])
    with pytest.raises(ValueError, match=r"1 seed\(s\) give no interval"):
        effect([0.1])


def test_differences_that_are_all_alike() -> None:
    assert probability([0.0] * 5) == 1 and probability([0.25] * 5) == 0
    assert effect([0.25] * 5).interval == (0.25, 0.25)


def test_an_interval_that_touches_the_margin_is_on_neither_side() -> None:
    assert [side(Interval(*each)) for each in ((0.1, 1), (-1, -0.1), (-1, 1), (0, 1), (-1, 0), (0, 0))] == [
        1, -1, 0, 0, 0, 0,
    ]  # fmt: skip
    assert side(Interval(-0.4, 0.1), -0.5) == 1 and side(Interval(-1, -0.6), -0.5) == -1


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02, 0.04])
def test_holms_intervals_leave_out_zero_where_his_procedure_rejects(shift: float) -> None:
    generator, told = np.random.default_rng(0), set()
    for _ in range(60):
        rows = {str(k): list(generator.normal(shift * k / 3, 0.02, 5)) for k in range(7)}
        p = {name: float(stats.ttest_1samp(row, 0).pvalue) for name, row in rows.items()}
        rejected: set[str] = set()
        for k, name in enumerate(sorted(p, key=p.__getitem__)):
            if p[name] > 0.05 / (7 - k):
                break
            rejected.add(name)
        found = holm(rows)
        assert list(found) == list(rows)
        assert {name for name, one in found.items() if side(one.interval)} == rejected
        told.add(len(rejected))
    assert len(told) > 1 or shift == 0


@pytest.mark.parametrize("x", [[1, 2, 3, 4, 5], [1, 1, 2, 3, 3], [5.0, 3, 4, 1, 2]])
def test_rank_correlation_is_spearmans_with_ties(x: list[float]) -> None:
    y = [0.3, 0.1, 0.1, 0.5, 0.2]
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_values_all_alike_predict_nothing() -> None:
    assert rank_correlation([1, 2, 3], [0.5, 0.5, 0.5]) == 0


def test_the_interval_of_a_correlation_counts_every_draw_of_seeds() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 5)).tolist()
    rho = [float(stats.spearmanr(range(5), row).statistic) for row in rows]
    every = np.array([np.mean(draw) for draw in product(rho, repeat=5)])
    found = correlation_over_seeds(range(5), rows)
    assert found.mean == pytest.approx(np.mean(rho)) and len(every) == 3125
    assert list(found.interval) == pytest.approx(np.quantile(every, [0.025, 0.975], method="inverted_cdf").tolist())
