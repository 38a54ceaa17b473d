"""Population-based training: who takes over whom, clipped moves, and that `train` replays the policy bit for bit."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from test_segments import whole

from impasto.config.tune import Search
from impasto.errors import ImpastoError
from impasto.tuning.members import shares
from impasto.tuning.population import at_end, beginnings, boundaries, compare, extended
from impasto.tuning.record import Trial
from impasto.tuning.results import Done, best_of, leaves_of, write_preset
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import Here

VALUES = [round(0.05 * step, 2) for step in range(21)]
LEAVES = ("lambda", "lambda_o", "lambda_s")
PBT = [
    {"method": "pbt", "trials": 4, "interval": 1, "burn_in": 1, "start": "random",
     "space": [{"parameter": leaf, "values": [0.0, 0.25, 0.5, 0.75]} for leaf in ("lambda", "lambda_s")]}
]  # fmt: skip


def search(**changes: Any) -> Search:
    space = [{"parameter": leaf, "values": VALUES} for leaf in LEAVES]
    return Search.model_validate({"method": "pbt", "trials": 8, "interval": 1, "space": space} | changes)


@pytest.mark.parametrize(
    ("n", "quantile", "count"), [(8, 0.25, 2), (32, 0.25, 8), (3, 0.25, 1), (2, 0.5, 1), (5, 0.5, 2)]
)
def test_the_worst_take_over_the_best(n: int, quantile: float, count: int) -> None:
    """As many as Ray counts: the ceiling of the quantile, half of all at most."""
    scores = [((7 * member) % n) / n for member in range(n)]
    held = [dict.fromkeys(LEAVES, 0.5) for _ in range(n)]
    moves = compare(search(trials=n, quantile=quantile), scores, held, seed=3, epoch=5)
    ranked = sorted(range(n), key=lambda member: scores[member])
    assert [move.member for move in moves] == ranked[:count] and {m.donor for m in moves} <= set(ranked[-count:])


class _Trial:
    """A trial as Ray's rule sees it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def is_finished(self) -> bool:
        return False


@pytest.mark.parametrize("quantile", [0.1, 0.25, 0.4, 0.5])
@pytest.mark.parametrize("n", [2, 5, 8, 32])
def test_who_takes_over_whom_is_as_with_ray(n: int, quantile: float) -> None:
    """Equal scores included; donors are drawn, so theirs are the members whom ours are drawn from."""
    pbt = pytest.importorskip("ray.tune.schedulers.pbt", reason="the extra `tune` is not installed")
    theirs = pbt.PopulationBasedTraining(quantile_fraction=quantile, hyperparam_mutations={"lambda": VALUES})
    draws = np.random.default_rng(n)
    held = [dict.fromkeys(LEAVES, 0.5) for _ in range(n)]
    for epoch in range(20):
        scores = [float(score) for score in draws.integers(0, 6, n) / 5]
        trials = [_Trial(member) for member in range(n)]
        theirs._trial_state = {trial: SimpleNamespace(last_score=scores[trial.number]) for trial in trials}
        worst, best = ([trial.number for trial in some] for some in theirs._quantiles())
        moves = compare(search(trials=n, quantile=quantile), scores, held, seed=0, epoch=epoch)
        assert [move.member for move in moves] == worst and {move.donor for move in moves} <= set(best)


@pytest.mark.parametrize("resample", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_shares_move_as_with_ray(value: float, resample: float) -> None:
    """Both draw: 4,000 moves of each have one law, which a test of homogeneity does not refute at 1 in 10,000."""
    pbt = pytest.importorskip("ray.tune.schedulers.pbt", reason="the extra `tune` is not installed")
    values, config = [0.0, 0.25, 0.5, 0.75, 1.0], {"lambda": value}
    space = [{"parameter": "lambda", "values": values}]
    random.seed(1)
    theirs = Counter(pbt._explore(config, {"lambda": values}, resample, (), None)[0]["lambda"] for _ in range(4000))
    one = search(space=space, resample=resample)
    moves = [move for epoch in range(2000) for move in compare(one, range(8), [config] * 8, seed=0, epoch=epoch)]
    ours = Counter(move.shares["lambda"] for move in moves)
    assert set(ours) == set(theirs) and len(moves) == 4000
    counts = [[found[share] for share in sorted(ours)] for found in (ours, theirs)]
    assert len(ours) == 1 or chi2_contingency(counts).pvalue > 1e-4


def test_shares_move_to_neighbours_and_stay_inside() -> None:
    held = [{"lambda": 0.0, "lambda_o": 0.5, "lambda_s": 1.0}] * 8
    seen: dict[str, Counter[float]] = {leaf: Counter() for leaf in LEAVES}
    for epoch in range(400):
        for move in compare(search(), list(range(8)), held, seed=0, epoch=epoch):
            for leaf in LEAVES:
                seen[leaf][move.shares[leaf]] += 1
    assert seen["lambda"].keys() == {0.0, 0.05} and seen["lambda_s"].keys() == {0.95, 1.0}
    assert seen["lambda_o"].keys() == {0.45, 0.55}
    for counts in seen.values():
        assert all(abs(count / 800 - 0.5) < 5 * math.sqrt(0.25 / 800) for count in counts.values())


def test_resampled_shares_may_be_any() -> None:
    held = [dict.fromkeys(LEAVES, 0.5)] * 8
    found = {m.shares["lambda"] for e in range(200) for m in compare(search(resample=1.0), list(range(8)), held, 0, e)}
    assert found == set(VALUES)


def test_a_comparison_depends_on_seed_and_epoch_alone() -> None:
    held, scores = [dict.fromkeys(LEAVES, 0.5)] * 8, [0.1, 0.5, 0.4, 0.9, 0.3, 0.8, 0.2, 0.7]
    assert compare(search(), scores, held, 1, 4) == compare(search(), scores, held, 1, 4)
    others = [compare(search(), scores, held, seed, epoch) for seed, epoch in ((2, 4), (1, 5))]
    assert compare(search(), scores, held, 1, 4) not in others


def test_failed_members_are_replaced_and_never_donors() -> None:
    nan = float("nan")
    moves = compare(search(), [nan, nan, nan, nan, nan, nan, nan, 0.5], [dict.fromkeys(LEAVES, 0.5)] * 8, 0, 1)
    assert sorted(move.member for move in moves) == list(range(7)) and {move.donor for move in moves} == {7}


def test_members_begin_near_the_base() -> None:
    base = {"lambda": 0.5, "lambda_o": 0.2, "lambda_s": 0.0}
    first, *others = beginnings(search(), base, seed=0)
    assert first == base and len(others) == 7
    assert {one["lambda"] for one in others} == {0.45, 0.55} and {one["lambda_s"] for one in others} == {0.0, 0.05}
    spread = beginnings(search(start="random", trials=200), base, seed=0)
    assert spread[0] == base and {one["lambda"] for one in spread} == set(VALUES)


@pytest.mark.parametrize(
    ("interval", "burn_in", "epochs", "places"),
    [(1, 0, 4, [1, 2, 3, 4]), (1, 20, 23, [20, 21, 22, 23]), (5, 7, 20, [10, 15, 20]), (3, 0, 7, [3, 6, 7])],
)
def test_comparisons(interval: int, burn_in: int, epochs: int, places: list[int]) -> None:
    assert boundaries(search(interval=interval, burn_in=burn_in), epochs) == places


def test_schedules_have_an_entry_for_each_change() -> None:
    found = extended({"lambda": {0: 0.5}, "lambda_s": {0: 0.2}}, {"lambda": 0.5, "lambda_s": 0.25}, 3)
    assert found == {"lambda": {0: 0.5}, "lambda_s": {0: 0.2, 3: 0.25}}
    assert at_end(found) == {"lambda": 0.5, "lambda_s": 0.25}
    assert [shares(found, epoch)["lambda_s"] for epoch in range(5)] == [0.2, 0.2, 0.2, 0.25, 0.25]


def test_the_policy_of_the_best_member_is_its_training(
    root: Path, searchable: Callable[..., Path], find: Callable[..., list[Done]]
) -> None:
    """With its ancestors' segments in front: one run under the preset has the same rows, bit for bit."""
    from impasto.commands.preset import apply
    from impasto.config.presets import read_overlay

    params = searchable(tune__searches=PBT, tune__epochs=5, train__averaging__start=1.0)
    done, trial = best_of(found := find())
    assert len(found[0].trials) == 4 and any(member.taken for member in found[0].trials)
    write_preset(root / "best.yaml", leaves_of(done, trial, 5), "found")
    apply(read_overlay(root / "best.yaml"), params, "best")
    assert whole(params).rows == trial.rows
    taken = next(member for member in found[0].trials if member.taken)
    own = {leaf: dict(steps) for leaf, steps in taken.leaves.items()}
    assert whole(params, **own).rows == taken.rows, "also of a member that has taken over"


class Killed(Here):
    """Dies after so many segments."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left, self.jobs = after, list[Job]()

    def wait(self) -> tuple[int, Segment]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.jobs.append(self._jobs[0][1])
        return super().wait()


def test_a_killed_population_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, searchable: Callable[..., Path], find: Callable[..., list[Done]]
) -> None:
    import shutil

    searchable(tune__searches=PBT, train__epochs=3)
    whole_run = Killed(99)
    before = find(whole_run)
    shutil.rmtree(tmp_path / "sweeps")
    computed = []
    for after in (3, 1, 2, 4, 99):
        workers = Killed(after)
        with suppress(KeyboardInterrupt):
            found = find(workers)
        computed += workers.jobs
    assert len(computed) == len(whole_run.jobs), "no segment twice"

    def told(trials: list[Trial]) -> list[Any]:
        return [(trial.number, trial.leaves, trial.rows, trial.measured, trial.taken) for trial in trials]

    assert told(list(found[0].trials)) == told(list(before[0].trials))
    assert not list(tmp_path.glob("sweeps/*/*/*.pt")), "a finished population leaves no state behind"


def test_a_population_that_fails_as_a_whole_says_why(
    searchable: Callable[..., Path], find: Callable[..., list[Done]]
) -> None:
    searchable(tune__searches=PBT, train__learning_rate=1e30, train__clip=1e30)
    with pytest.raises(ImpastoError, match="all 4 members have failed: .*diverged"):
        find()
