"""Where segments are computed: here, one after the other, or on a cluster (:mod:`impasto.tuning.cluster`)."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from impasto.tuning.segment import Job, Segment, train_segment


class Workers(Protocol):
    """Computes jobs; each has the number of its trial."""

    @property
    def slots(self) -> int:
        """How many jobs are computed at once."""

    def start(self, trial: int, job: Job) -> None:
        """Let a job be computed."""

    def wait(self) -> tuple[int, Segment]:
        """The trial and the segment of a job that is done."""


class Here:
    """This process computes the jobs when it is asked for them."""

    slots = 1

    def __init__(self) -> None:
        self._jobs: deque[tuple[int, Job]] = deque()

    def start(self, trial: int, job: Job) -> None:
        """See :class:`Workers`."""
        self._jobs.append((trial, job))

    def wait(self) -> tuple[int, Segment]:
        """See :class:`Workers`."""
        trial, job = self._jobs.popleft()
        return trial, train_segment(job)
