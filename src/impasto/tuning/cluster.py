"""Workers on Ray: on this machine, or on all machines of a running cluster. The only door to Ray beside the searcher's.

Segments are Ray tasks. Ray starts one again whose machine is lost, and hands parameters out and states back: nothing
but the repository and its data must be on the machines, and no folder be shared.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from impasto.errors import ImpastoError
from impasto.tuning.bayes import require_engine
from impasto.tuning.segment import Job, Segment, train_segment

_RETRIES = 5  # of a segment whose machine or process is lost
_ANSWER = 5.0  # seconds in which an address must take a connection
_STORE = 256 << 20  # bytes of Ray's object store on this machine: a few states
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_worker_niceness": "0",  # by default 15: beside other work a trial would stand still
}
_LOOK = 5.0  # seconds between two looks at the machines while nothing comes


class RayWorkers:
    """Computes jobs on a cluster.

    Args:
        ray: the module, connected.
        cpus: of a trial.
        gpus: of a trial; parts are allowed.

    Raises:
        ImpastoError: no machine has what one trial wants.
    """

    def __init__(self, ray: Any, cpus: int, gpus: float) -> None:
        self._ray, self._wants = ray, {"CPU": float(cpus), "GPU": float(gpus)}
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": _RETRIES}
        self._function = ray.remote(**options)(_computed)
        self._running: dict[Any, int] = {}
        if not self.slots:
            most = {name: max((node.get(name, 0) for node in self._nodes()), default=0) for name in self._wants}
            have = " and ".join(f"{count:g} {name}s" for name, count in most.items())
            what = f"a trial wants {cpus} CPUs and {gpus:g} GPUs, and no machine has them: the largest has {have}"
            raise ImpastoError(what, where="--cpus, --gpus", remedy="Ask for less, or add a machine to the cluster.")

    @property
    def slots(self) -> int:
        """How many trials the machines that are there now compute at once."""
        fits = (
            min(int(node.get(name, 0) // count) for name, count in self._wants.items() if count)
            for node in self._nodes()
        )
        return sum(fits)

    def start(self, trial: int, job: Job) -> None:
        """See :class:`impasto.tuning.workers.Workers`."""
        self._running[self._function.remote(job)] = trial

    def wait(self) -> tuple[int, Segment]:
        """See :class:`impasto.tuning.workers.Workers`.

        Raises:
            ImpastoError: no machine is left, or the process of a trial dies again and again.
        """
        done: list[Any] = []
        while not done:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK)
            if not done and not self.slots:
                raise _gone("no machine is left that has what a trial wants")
        trial = self._running.pop(done[0])
        try:
            segment: Segment = self._ray.get(done[0])
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError) as error:
            raise _gone(f"trial {trial} lost its process or machine {_RETRIES + 1} times") from error
        except self._ray.exceptions.ObjectLostError as error:
            raise _gone(f"the result of trial {trial} was lost") from error
        return trial, segment

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


@contextmanager
def ray_workers(address: str | None, cpus: int, gpus: float) -> Iterator[RayWorkers]:
    """Connect to a cluster, or start Ray on this machine for as long as the search runs.

    Args:
        address: ``HOST:PORT`` of a running cluster of which this machine is one; None starts Ray here.
        cpus: of a trial.
        gpus: of a trial.

    Raises:
        ImpastoError: Ray is not installed, nothing answers at the address, or no machine has what one trial wants.
    """
    require_engine()
    if address is not None:
        _require_answer(address)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    own: dict[str, Any] = {}
    if address is None:
        own = {"num_cpus": os.cpu_count(), "include_dashboard": False, "object_store_memory": _STORE}
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(address=address, **own, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(address or "this machine", str(error).strip().splitlines()[0]) from error
    try:
        yield RayWorkers(ray, cpus, gpus)
    finally:
        ray.shutdown()


def _computed(job: Job) -> Segment:
    """A segment, in a process of Ray's that computes one after the other."""
    os.environ.setdefault("IMPASTO_QUIET", "1")
    return train_segment(job)


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise _unreachable(address, "an address is HOST:PORT, as `ray start --head` prints it")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str, why: str) -> ImpastoError:
    remedy = "Start one with `ray start --head --port=6379`, and join this machine to it: see docs/scale.md."
    return ImpastoError(f"no Ray cluster answers at {address}: {why}", where="--address", remedy=remedy)


def _gone(what: str) -> ImpastoError:
    return ImpastoError(what, where="the cluster", remedy="The same command goes on from what is on record.")
