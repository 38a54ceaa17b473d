"""What all searches have in common: parameters, record, workers and log, and how far a trial goes before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.config.tune import Search, Tune
from impasto.progress import notice
from impasto.tracking.search import SearchRun
from impasto.tuning import space
from impasto.tuning.record import Record, Trial
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import Workers

SAVE_SECONDS = 120.0  # a trial is written down about that often: what a kill can cost of each, or one epoch
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
        pace: seconds of an epoch as it was last seen, None before the first.
    """

    tree: Mapping[str, Any]
    tune: Tune
    folder: Path
    job: Job
    workers: Workers
    log: SearchRun
    pace: float | None = None

    @property
    def epochs(self) -> int:
        """Of a whole trial."""
        return self.tune.epochs or int(self.tree["train"]["epochs"])

    def segment(self, trial: Trial, params: Mapping[str, Any], target: int, record: Record) -> tuple[int, Job]:
        """The job with which a trial goes on towards an epoch, as far as it comes before it should be written down."""
        steps = max(1, int(SAVE_SECONDS / self.pace)) if self.pace else 1
        until = min(target, trial.epochs + steps)
        return trial.number, self.job._replace(params=params, until=until, state=record.state(trial))

    def take(self, trial: Trial, segment: Segment) -> None:
        """Let a trial have what came of its segment."""
        trial.seconds += segment.seconds
        trial.machines.append(segment.machine)
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
