"""Proposals of a tree-structured Parzen estimator (Bergstra et al. 2011): Optuna's, through Ray Tune's searcher."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

from impasto.config.tune import Dimension, Search
from impasto.errors import ImpastoError
from impasto.rng import key

INSTALL = "Install it with `make extras`, or `pip install 'impasto[tune]'`."


class Bayes:
    """Proposes points and is told what they are worth. The same calls in the same order give the same points.

    Args:
        search: the space; a leaf with values is a category, one with a range a number.
        seed: of the search.
        first: a point to begin with, where the space has it.

    Raises:
        ImpastoError: Ray Tune or Optuna is not installed.
    """

    def __init__(self, search: Search, seed: int, first: Mapping[str, Any]) -> None:
        require_engine("optuna")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("ray.tune.search.optuna").setLevel(logging.ERROR)
        self._space = {each.parameter: each for each in search.space}
        begin = _inside(self._space, first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray about Optuna
            self._searcher = OptunaSearch(
                space={name: _domain(each) for name, each in self._space.items()},
                metric="objective",
                mode="max",
                seed=key(seed, "tpe") % 2**32,
                points_to_evaluate=[begin] if begin else None,
            )

    def ask(self, number: int) -> dict[str, Any]:
        """The point of a trial, by leaf."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._searcher.suggest(str(number))
        return {name: _value(self._space[name], found[name]) for name in self._space}

    def tell(self, number: int, score: float | None) -> None:
        """What a trial is worth; None: it has failed."""
        result = None if score is None else {"objective": score}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._searcher.on_trial_complete(str(number), result=result, error=score is None)


def require_engine(*names: str) -> None:
    """See that Ray, and what else is named, is installed.

    Raises:
        ImpastoError: it is not.
    """
    from importlib.util import find_spec

    for name in ("ray", *names):
        if find_spec(name) is None:
            raise ImpastoError(f"{name} is not installed", where="impasto tune", remedy=INSTALL)


def _domain(each: Dimension) -> Any:
    from ray import tune

    if each.values is not None:
        return tune.choice(list(range(len(each.values))))  # their numbers: Optuna takes no lists
    assert each.low is not None and each.high is not None
    if each.integer:
        low, high = int(each.low), int(each.high) + 1
        return tune.lograndint(low, high) if each.log else tune.randint(low, high)
    return tune.loguniform(each.low, each.high) if each.log else tune.uniform(each.low, each.high)


def _value(each: Dimension, found: Any) -> Any:
    if each.values is not None:
        return each.values[int(found)]
    return int(found) if each.integer else float(found)


def _inside(space: Mapping[str, Dimension], point: Mapping[str, Any]) -> dict[str, Any] | None:
    """The point as the searcher has it, or None where it lies outside."""
    found = {}
    for name, each in space.items():
        value = point[name]
        if each.values is not None:
            if value not in each.values:
                return None
            found[name] = each.values.index(value)
        else:
            assert each.low is not None and each.high is not None
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not each.low <= value <= each.high:
                return None
            found[name] = value
    return found
