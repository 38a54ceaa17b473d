"""The searches of ``tune.searches``, one after the other: who is trained for how long, and what is on record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from impasto.config.tune import Search, Tune
from impasto.errors import ImpastoError
from impasto.progress import notice
from impasto.rng import key
from impasto.tracking.search import SearchRun
from impasto.tuning import space
from impasto.tuning.bayes import Bayes
from impasto.tuning.halving import Rungs
from impasto.tuning.record import Record, Trial
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import Workers

SAVE_SECONDS = 120.0  # a trial is written down about that often: what a kill can cost of each
_LOGGED = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


@dataclass
class Context:
    """What all searches have in common.

    Attributes:
        tree: all of params.yaml.
        tune: its section.
        folder: where they are recorded; one folder for each.
        job: a job without parameters, end and state.
        workers: who computes.
        log: where trials are logged.
        each: called after every segment.
        pace: seconds of an epoch, None before the first.
    """

    tree: Mapping[str, Any]
    tune: Tune
    folder: Path
    job: Job
    workers: Workers
    log: SearchRun
    each: Callable[[], None] = field(default=lambda: None)
    pace: float | None = None

    @property
    def epochs(self) -> int:
        """Of a whole trial."""
        return self.tune.epochs or int(self.tree["train"]["epochs"])

    def start(self, trial: Trial, params: Mapping[str, Any], target: int, record: Record) -> None:
        """Let a trial go on towards an epoch, as far as it comes before it should be written down."""
        steps = max(1, int(SAVE_SECONDS / self.pace)) if self.pace else 1
        until = min(target, trial.epochs + steps)
        self.workers.start(trial.number, self.job._replace(params=params, until=until, state=record.state(trial)))

    def take(self, trial: Trial, segment: Segment) -> None:
        """Let a trial have what came of its segment."""
        trial.seconds += segment.seconds
        if segment.error:
            trial.status, trial.error = "failed", segment.error
            return
        self.pace = segment.seconds / max(1, len(segment.rows) - trial.epochs)
        trial.rows = segment.rows
        trial.measured[trial.epochs] = segment.parts

    def tell(self, trial: Trial, search: Search, first: int = 0, again: bool = False) -> None:
        """Log how far a trial has come, and say so when it has ended, but not ``again``."""
        name, status = f"{trial.search + 1}-{search.method}-{trial.number:03}", _LOGGED.get(trial.status)
        own = {"search": trial.search + 1, "method": search.method, "trial": trial.number}
        values = {leaf: value for leaf, value in trial.leaves.items() if search.method != "pbt"}
        self.log.trial(name, own | values, trial.rows, trial.parts, status, first)
        if status and not again:
            worth = trial.error or f"objective {trial.score:.4f} after {trial.epochs} epochs"
            notice(f"{name} {trial.status}: {worth} ({space.told(trial.leaves)})")
        self.each()


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
        self.clock = 0
        self._replay()

    def run(self) -> list[Trial]:
        """All trials, each finished, stopped or failed."""
        waiting = [trial for trial in self.trials.values() if trial.status == "running"]
        running = 0
        while True:
            while running < self.context.workers.slots and (trial := waiting.pop(0) if waiting else self._next()):
                self._start(trial)
                running += trial.status == "running"
            if not running:
                return [self.trials[number] for number in sorted(self.trials)]
            number, segment = self.context.workers.wait()
            running -= 1
            trial = self.trials[number]
            self._take(trial, segment)
            if trial.status == "running":
                waiting.insert(0, trial)

    def _next(self) -> Trial | None:
        """The next point as a trial, on record before it begins."""
        if len(self.trials) == self.count:
            return None
        number = len(self.trials)
        trial = Trial(self.index, number, self.proposals.ask(number), asked=self._tick())
        self.trials[number] = trial
        self.record.keep(trial, None)
        return trial

    def _start(self, trial: Trial) -> None:
        params = space.with_leaves(self.tree, trial.leaves)
        try:
            space.require_valid(params, trial.leaves)
        except ImpastoError as error:  # a point between those that were tried before the search began
            trial.status, trial.error = "failed", error.what
            self._finish(trial, None)
            return
        target = self.rungs.after(trial.epochs) or self.context.epochs
        self.context.start(trial, params, target, self.record)

    def _take(self, trial: Trial, segment: Segment) -> None:
        before = trial.epochs
        self.context.take(trial, segment)
        if trial.status == "running" and segment.done:
            trial.status = "finished"
        elif trial.status == "running" and not self.rungs.passes(trial.epochs, trial.score):
            trial.status = "stopped"
        if trial.status == "running":
            self.record.keep(trial, segment.state)
            self.record.tidy(trial.number, trial.epochs)
            self.context.tell(trial, self.search)
        else:
            self._finish(trial, before)

    def _finish(self, trial: Trial, before: int | None) -> None:
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
