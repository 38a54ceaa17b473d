"""Optuna's estimator through Ray Tune: seeded, on its scales, better than chance, resumed as if uninterrupted."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_searching import Made, run

from impasto.config.tune import Search
from impasto.tuning import bayes
from impasto.tuning.bayes import Bayes
from impasto.tuning.results import Done

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray: make extras"),
]
SPACE = [
    {"parameter": "train.learning_rate", "low": 0.001, "high": 1.0, "log": True},
    {"parameter": "augment.crop", "low": 0, "high": 4, "integer": True},
    {"parameter": "alpha_s", "values": [[0.1, 1.0], [0.5, 1.0]]},
]
BAYES = {"method": "bayes", "trials": 25, "space": SPACE}
FIRST = {"train.learning_rate": 0.1, "augment.crop": 2, "alpha_s": [0.1, 1.0]}


def worth(point: dict[str, Any]) -> float:
    """Highest at a learning rate of 0.01 and a crop of 3."""
    return -abs(math.log10(point["train.learning_rate"]) + 2) - 0.1 * abs(point["augment.crop"] - 3)


def asked(seed: int, n: int = 40, first: dict[str, Any] = FIRST) -> list[dict[str, Any]]:
    searcher, found = Bayes(Search.model_validate(BAYES), seed, first), []
    for number in range(n):
        found.append(searcher.ask(number))
        searcher.tell(number, worth(found[-1]) if number % 7 else None)
    return found


def test_points_are_seeded_inside_and_begin_at_the_base() -> None:
    found = asked(0)
    assert found == asked(0) and found[1:] != asked(1)[1:] and found[0] == FIRST
    assert all(0.001 <= point["train.learning_rate"] <= 1 for point in found)
    assert {point["augment.crop"] for point in found} <= set(range(5)) and type(found[3]["augment.crop"]) is int
    assert [point["alpha_s"] in ([0.1, 1.0], [0.5, 1.0]) for point in found] == [True] * 40
    below = sum(point["train.learning_rate"] < 0.1 for point in found[1:11])
    assert 3 <= below <= 10, "uniform in the logarithm, not in the number"
    assert asked(0, 1, FIRST | {"train.learning_rate": 5.0})[0] != FIRST, "a base outside of the space is left out"


def test_later_points_are_better_than_the_first_ones() -> None:
    scores = [worth(point) for seed in range(3) for point in asked(seed)]
    early, late = (sum(sum(scores[40 * s + a : 40 * s + b]) for s in range(3)) / 30 for a, b in ((1, 11), (30, 40)))
    assert late > early + 0.3


def test_a_killed_search_goes_on_as_if_it_had_not_been(root: Path, searchable: Callable[..., Path]) -> None:
    searchable(tune__searches=[BAYES | {"trials": 14, "halving": {"grace": 1, "reduction": 3}}])

    def flat(tree: dict[str, Any]) -> float:
        return worth({"train.learning_rate": tree["train"]["learning_rate"], "augment.crop": tree["augment"]["crop"]})

    whole = run(root, Made(flat, slots=1))
    for path in root.glob("sweeps/*/*/*"):
        path.unlink()
    for after in (3, 0, 5, 4, 10**6):
        with suppress(KeyboardInterrupt):
            found = run(root, Made(flat, slots=1, after=after))

    def told(done: list[Done]) -> list[Any]:
        return [(t.leaves, t.status, t.epochs, t.score, t.asked, t.told) for t in done[0].trials]

    assert told(found) == told(whole) and {trial.status for trial in found[0].trials} == {"finished", "stopped"}


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.errors import ImpastoError

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "optuna" else object())
    with pytest.raises(ImpastoError, match="optuna is not installed .*make extras"):
        bayes.require_engine("optuna")
