"""How much of the differences between trials each leaf explains, and whether anything can be said of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from impasto.config.tune import Dimension, Search
from impasto.tuning.record import Trial

LEAST = 10  # trials of which something is said
_FOLDS, _TREES, _SHUFFLES = 5, 100, 20


class Importance(NamedTuple):
    """What a forest makes of some trials.

    Attributes:
        n: trials.
        epochs: after which they are compared: those that all have.
        explained: share of the variance of the objective that it predicts of trials which it has not seen; at most 1.
        lost: by leaf, the share of that variance by which the prediction gets worse when the leaf is shuffled.
    """

    n: int
    epochs: int
    explained: float
    lost: dict[str, float]


def importance(search: Search, trials: Sequence[Trial], seed: int = 0) -> Importance | None:
    """Permutation importance (Breiman 2001) on held-out trials; None where there are too few or all are alike.

    Trials that were stopped early are compared with the others after the epochs that all have.
    """
    shown = compared(trials)
    if len(shown) < LEAST:
        return None
    epochs = min(max(trial.measured) for trial in shown)
    scores = np.array([trial.measured[epochs]["objective"] for trial in shown])
    if np.ptp(scores) == 0:
        return None
    columns = np.array([[place(each, trial) for each in search.space] for trial in shown])
    explained, lost = _forest(columns, scores, seed)
    return Importance(len(shown), epochs, explained, dict(zip((d.parameter for d in search.space), lost, strict=True)))


def compared(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have a number after the epochs which all of them have; those that failed are left out."""
    alive = [trial for trial in trials if trial.status != "failed" and trial.measured]
    epochs = min((max(trial.measured) for trial in alive), default=0)
    return [trial for trial in alive if epochs in trial.measured]


def place(dimension: Dimension, trial: Trial) -> float:
    """Where a trial lies on an axis: the number of a listed value, else the number itself or its logarithm."""
    value = trial.leaves[dimension.parameter]
    if dimension.values is not None:
        return float(dimension.values.index(value))
    return math.log(value) if dimension.log else float(value)


def _forest(columns: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, list[float]]:
    """Explained share of the variance, and what is lost of it by shuffling each column; float [n, leaves] and [n]."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    draws = np.random.default_rng(seed)
    wrong, worse = 0.0, np.zeros(columns.shape[1])
    for seen, held in KFold(_FOLDS, shuffle=True, random_state=seed).split(columns):
        forest = RandomForestRegressor(_TREES, random_state=seed).fit(columns[seen], scores[seen])
        error = np.square(forest.predict(columns[held]) - scores[held]).sum()
        wrong += error
        for column in range(columns.shape[1]):
            shuffled = np.tile(columns[held], (_SHUFFLES, 1))
            values = [draws.choice(columns[:, column], len(held)) for _ in range(_SHUFFLES)]
            shuffled[:, column] = np.concatenate(values)
            again = forest.predict(shuffled).reshape(_SHUFFLES, len(held))
            worse[column] += np.square(again - scores[held]).sum(1).mean() - error
    total = np.square(scores - scores.mean()).sum()
    return 1 - float(wrong / total), [max(0.0, float(each / total)) for each in worse]
