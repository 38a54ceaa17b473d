"""Where segments are computed: here, one after the other, or on a cluster (:mod:`impasto.tuning.cluster`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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
        """The trial and the segment of a job that is done.

        Raises:
            ImpastoError: something else than the training is at fault; the trial goes on from what is on record.
        """


def compute(
    workers: Workers, following: Callable[[], tuple[int, Job] | None], take: Callable[[int, Segment], None]
) -> None:
    """Keep all workers at work until nothing is left to do.

    Args:
        workers: who computes.
        following: the next trial and its job; None: there is none now, though there may be one after a result.
        take: called with each trial and its segment.
    """
    running = 0
    while True:
        while running < workers.slots and (job := following()):
            workers.start(*job)
            running += 1
        if not running:
            return
        number, segment = workers.wait()
        running -= 1
        take(number, segment)


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
