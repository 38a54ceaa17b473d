"""Searches whose trials do not know of each other, by grid and by Bayes: what is tried next, and what is on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from impasto.config.tune import Search
from impasto.errors import ImpastoError
from impasto.rng import key
from impasto.tuning import space
from impasto.tuning.bayes import Bayes
from impasto.tuning.context import Context
from impasto.tuning.halving import Rungs
from impasto.tuning.record import Record, Trial
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import compute


class Proposals(Protocol):
    """Where the points of independent trials come from."""

    def ask(self, number: int) -> dict[str, Any]:
        """The point of a trial."""

    def tell(self, number: int, score: float | None) -> None:
        """What it is worth; None: it has failed."""


class Points:
    """The points of a grid."""

    def __init__(self, points: list[dict[str, Any]]) -> None:
        self._points = points

    def ask(self, number: int) -> dict[str, Any]:
        """The point of that number."""
        return self._points[number]

    def tell(self, number: int, score: float | None) -> None:
        """It makes no difference."""


def independent(context: Context, index: int, search: Search, base: Mapping[str, Any]) -> list[Trial]:
    """Run a search whose trials do not know of each other, by grid or Bayes, and take up what is on record of it.

    Args:
        context: what all searches have in common.
        index: number of the search, from 0.
        search: what it is.
        base: leaves by which its trials differ from params.yaml, beside their points.
    """
    return Independent(context, index, search, base).run()


class Independent:
    """Trials of a grid or of a searcher; see :func:`independent`."""

    def __init__(self, context: Context, index: int, search: Search, base: Mapping[str, Any]) -> None:
        self.context, self.index, self.search = context, index, search
        self.record = Record(context.folder / f"{index + 1}-{search.method}")
        tree = space.with_leaves(context.tree, base)
        self.tree = space.without_choosing(tree, context.tune, search.method)
        self.rungs = Rungs(search.halving, context.epochs)
        points = space.grid(search) if search.method == "grid" else []
        self.count = len(points) or search.trials or 0
        first = {each.parameter: space.leaf(tree, each.parameter) for each in search.space}
        seed = key(context.tune.seed, "search", index)
        self.proposals: Proposals = Points(points) if points else Bayes(search, seed, first)
        self.trials = self.record.latest()
        self.waiting = [trial for trial in self.trials.values() if trial.status == "running"]
        self.clock = 0
        self._replay()

    def run(self) -> list[Trial]:
        """All trials, each finished, stopped or failed."""
        compute(self.context.workers, self._following, self._take)
        return [self.trials[number] for number in sorted(self.trials)]

    def _following(self) -> tuple[int, Job] | None:
        """The next job; a trial whose parameters are refused has none."""
        while trial := self.waiting.pop(0) if self.waiting else self._next():
            params = space.with_leaves(self.tree, trial.leaves)
            try:
                space.require_valid(params, trial.leaves)
            except ImpastoError as error:  # a point between those that were tried before the search began
                trial.status, trial.error = "failed", error.what
                self._finish(trial)
                continue
            target = self.rungs.after(trial.epochs) or self.context.epochs
            return self.context.segment(trial, params, target, self.record)
        return None

    def _next(self) -> Trial | None:
        """The next point as a trial, on record before it begins; of a grid the first that is not on record."""
        if len(self.trials) == self.count:
            return None
        number = next(number for number in range(self.count) if number not in self.trials)
        trial = Trial(self.index, number, self.proposals.ask(number), asked=self._tick())
        self.trials[number] = trial
        self.record.keep(trial, None)
        return trial

    def _take(self, number: int, segment: Segment) -> None:
        trial = self.trials[number]
        self.context.take(trial, segment)
        if trial.status == "running" and segment.done:
            trial.status = "finished"
        elif trial.status == "running" and not self.rungs.passes(trial.epochs, trial.score):
            trial.status = "stopped"
        if trial.status != "running":
            self._finish(trial)
            return
        self.record.keep(trial, segment.state)
        self.record.tidy(number, trial.epochs)
        self.context.tell(trial, self.search)
        self.waiting.insert(0, trial)

    def _finish(self, trial: Trial) -> None:
        trial.told = self._tick()
        self.record.keep(trial, None)
        self.record.tidy(trial.number, trial.epochs)
        self.record.drop(trial)
        self.proposals.tell(trial.number, None if trial.status == "failed" else trial.score)
        self.context.tell(trial, self.search)

    def _tick(self) -> int:
        self.clock += 1
        return self.clock

    def _replay(self) -> None:
        """Ask and tell what was asked and told before, in the same order: the searcher goes on as it would have."""
        asked = [(trial.asked, "ask", trial) for trial in self.trials.values()]
        told = [(trial.told, "tell", trial) for trial in self.trials.values() if trial.told is not None]
        for tick, event, trial in sorted([*asked, *told], key=lambda each: each[0] or 0):
            self.clock = tick or self.clock
            if event == "tell":
                self.proposals.tell(trial.number, None if trial.status == "failed" else trial.score)
            elif self.proposals.ask(trial.number) != trial.leaves:
                what = f"trial {trial.number} was proposed as {space.told(trial.leaves)}, and would not be again"
                remedy = "Another version of Optuna made it: delete that folder to begin anew."
                raise ImpastoError(what, where=str(self.record.folder), remedy=remedy)
        for trial in self.trials.values():
            for place in filter(trial.measured.__contains__, self.rungs.places):
                self.rungs.passes(place, trial.measured[place]["objective"])
            if trial.status != "running":
                self.context.tell(trial, self.search, again=True)
