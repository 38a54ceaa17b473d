"""What a search ends in: all trials as a table, and the best one as a preset."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from impasto.config.base import is_schedule
from impasto.config.tune import Search
from impasto.errors import ImpastoError
from impasto.io import write_csv, write_text
from impasto.tracking.execution import as_text
from impasto.tuning.record import Trial

PARTS = ("objective", "accuracy", "balanced_accuracy", "robust_accuracy")


class Done(NamedTuple):
    """A search and its trials; ``base`` are the leaves with which it began."""

    search: Search
    base: Mapping[str, Any]
    trials: Sequence[Trial]

    def best(self) -> Trial | None:
        """The finished trial with the highest objective, of equal ones the first; None if none has finished."""
        finished = [trial for trial in self.trials if trial.status == "finished"]
        return max(finished, key=lambda trial: trial.score, default=None)


def best_of(done: Sequence[Done]) -> tuple[Done, Trial]:
    """The best trial of all searches, of equal ones the first.

    Raises:
        ImpastoError: none has finished.
    """
    found = [(one, trial) for one in done if (trial := one.best())]
    if not found:
        errors = [trial.error for one in done for trial in one.trials if trial.error]
        what = f"no trial has finished; the first fault was: {errors[0]}" if errors else "no trial has finished"
        raise ImpastoError(
            what, where="tune.searches", remedy="Search where training works: trials.csv tells each fault."
        )
    return max(found, key=lambda pair: pair[1].score)


def leaves_of(done: Done, trial: Trial, epochs: int | None) -> dict[str, Any]:
    """The leaves by which a trial's parameters differ from params.yaml, as a preset has them.

    A schedule of one value is that value. Schedules count epochs, so with them come the epochs that they were found
    for, if ``tune.epochs`` (``epochs``) made them others.
    """
    own = {leaf: value[0] if is_schedule(value) and len(value) == 1 else value for leaf, value in trial.leaves.items()}
    scheduled = any(is_schedule(value) for value in own.values())
    return {**done.base, **own, **({"train.epochs": epochs} if scheduled and epochs else {})}


def write_preset(path: Path, leaves: Mapping[str, Any], title: str) -> None:
    """Write leaves as a preset; the first line says what it is."""
    tree: dict[str, Any] = {}
    for leaf, value in leaves.items():
        *sections, name = leaf.split(".")
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = _flowing(value)
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 1 << 16
    yaml.dump(tree, stream)
    write_text(path, f"# {title}\n{stream.getvalue()}")


def write_trials(path: Path, done: Sequence[Done]) -> None:
    """Write one row for each trial: its search, its leaves, the objective and its parts, epochs, seconds and status."""
    leaves = list(dict.fromkeys(each.parameter for one in done for each in one.search.space))
    columns = ["search", "method", "trial", "status", *leaves, *PARTS, "epochs", "seconds", "taken", "error"]
    write_csv(path, columns, (_row(one, trial, leaves) for one in done for trial in one.trials))


def text(value: Any) -> str:
    """A value as one would type it in params.yaml."""
    if is_schedule(value):
        return "{" + ", ".join(f"{epoch}: {one:g}" for epoch, one in value.items()) + "}"
    return as_text(value)


def _row(one: Done, trial: Trial, leaves: Sequence[str]) -> dict[str, Any]:
    values = {leaf: text(trial.leaves[leaf]) if leaf in trial.leaves else "" for leaf in leaves}
    parts = {name: trial.parts.get(name, "") for name in PARTS}
    taken = " ".join(f"{epoch}:{donor}" for epoch, donor in trial.taken.items())
    facts = {"search": trial.search + 1, "method": one.search.method, "trial": trial.number, "status": trial.status}
    cost = {"epochs": trial.epochs, "seconds": round(trial.seconds, 2), "taken": taken, "error": trial.error or ""}
    return facts | values | parts | cost


def _flowing(value: Any) -> Any:
    """Lists and schedules on one line, as params.yaml has them."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, list | dict):
        return value
    found: CommentedMap | CommentedSeq = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
    found.fa.set_flow_style()
    return found
