"""Workers on Ray: on this machine, or on all machines of a running cluster. The only door to Ray beside the searcher's.

Segments are Ray tasks. Ray starts one again whose machine is lost, and hands parameters out and states back: nothing
but the repository and its data must be on the machines, and no folder be shared. A machine that says that it cannot
compute a segment, because data are missing or its disk is full, gets no more of this search.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from impasto.errors import ImpastoError
from impasto.io import one_line
from impasto.progress import notice
from impasto.tuning.answering import require_answer, unreachable
from impasto.tuning.bayes import require_engine
from impasto.tuning.segment import OUT_OF_MEMORY, Job, Segment, train_segment

_RETRIES = 5  # of a segment whose machine or process is lost: Ray's
_AGAIN = 2  # of a segment that Ray gives up for another reason, or that did not fit into memory: ours
_STORE = 256 << 20  # bytes of Ray's object store on this machine: a few states
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_worker_niceness": "0",  # by default 15: beside other work a trial would stand still
}
_LOOK = 5.0  # seconds between two looks at the machines while nothing comes


class _Answer(NamedTuple):
    """What a task comes to on some machine: a segment, or the fault for which there is none."""

    node: str
    machine: str
    segment: Segment | None
    fault: tuple[str, str, str] = ("", "", "")


class _Sent(NamedTuple):
    """A job that is out: its trial, Ray's reference to it, and how often it has been sent again."""

    trial: int
    job: Any
    again: int = 0


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
        self._running: dict[Any, _Sent] = {}
        self._left_out: set[str] = set()
        if not self.slots:
            there = [node["Resources"] for node in self._nodes()]
            most = {name: max((each.get(name, 0) for each in there), default=0) for name in self._wants}
            have = " and ".join(f"{count:g} {name}s" for name, count in most.items())
            what = f"a trial wants {cpus} CPUs and {gpus:g} GPUs, and no machine has them: the largest has {have}"
            raise ImpastoError(what, where="--cpus, --gpus", remedy="Ask for less, or add a machine to the cluster.")

    @property
    def slots(self) -> int:
        """How many trials the machines that are there now compute at once."""
        return sum(self._fits(node["Resources"]) for node in self._nodes())

    def start(self, trial: int, job: Job) -> None:
        """See :class:`impasto.tuning.workers.Workers`."""
        self._send(_Sent(trial, self._ray.put(job)))

    def wait(self) -> tuple[int, Segment]:
        """See :class:`impasto.tuning.workers.Workers`.

        Raises:
            ImpastoError: no machine is left that can, or what Ray does with a trial fails again and again.
        """
        while True:
            done = self._done()
            sent = self._running.pop(done)
            try:
                answer: _Answer = self._ray.get(done)
            except self._ray.exceptions.RayError as error:
                self._send_again(sent, error)
                continue
            if answer.segment is None:
                self._leave_out(answer)
                self._send(sent)
            elif (answer.segment.error or "").startswith(OUT_OF_MEMORY) and sent.again < _AGAIN:
                self._send(sent._replace(again=_AGAIN), {answer.node})
            else:
                return sent.trial, answer.segment._replace(machine=answer.machine)

    def _done(self) -> Any:
        """Ray's reference to a task that is over."""
        done: list[Any] = []
        while not done:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK)
            if not done and not self.slots:
                raise _gone("no machine is left that has what a trial wants")
        return done[0]

    def _send(self, sent: _Sent, apart: set[str] | frozenset[str] = frozenset()) -> None:
        """Let a job be computed on a machine that is not left out, and elsewhere than ``apart`` if it can be."""
        others = {node["NodeID"] for node in self._nodes() if self._fits(node["Resources"])} - apart
        barred = sorted(self._left_out | (apart if others else set()))
        where = {"label_selector": {"ray.io/node-id": f"!in({', '.join(barred)})"}} if barred else {}
        self._running[self._function.options(**where).remote(sent.job)] = sent

    def _send_again(self, sent: _Sent, error: Exception) -> None:
        """Of a process or machine that was lost Ray itself has tried enough; all else is tried again, a few times."""
        lost = self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError
        if isinstance(error, lost):
            raise _gone(f"trial {sent.trial} lost its process or machine {_RETRIES + 1} times") from error
        if sent.again >= _AGAIN:
            place = re.search(r"\bip=([^,)\s]+)", str(error))  # an attribute is lost where Ray makes two errors one
            cause = getattr(error, "cause", None) or error
            what = f"trial {sent.trial} could not be computed{f' on {place[1]}' if place else ''}"
            raise _gone(f"{what}: {type(cause).__name__}: {one_line(cause)}") from error
        self._send(sent._replace(again=sent.again + 1))

    def _leave_out(self, answer: _Answer) -> None:
        """Let a machine compute no more; its fault ends the search if no other one is left."""
        what, where, remedy = answer.fault
        first = answer.node not in self._left_out
        self._left_out.add(answer.node)
        if not self.slots:
            raise ImpastoError(what, where=where, remedy=remedy)
        if first:
            notice(f"{answer.machine} computes no more of this search: {what} [{where}]")

    def _fits(self, resources: dict[str, float]) -> int:
        """How many trials a machine computes at once; 1 CPU is 5 of 0.2, whatever binary fractions say."""
        return min(int(resources.get(name, 0) / count + 1e-9) for name, count in self._wants.items() if count)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"] and node["NodeID"] not in self._left_out]


@contextmanager
def ray_workers(address: str | None, cpus: int, gpus: float) -> Iterator[RayWorkers]:
    """Connect to a cluster, or start Ray on this machine for as long as the search runs.

    Args:
        address: ``HOST:PORT`` of a running cluster of which this machine is one; None starts Ray here.
        cpus: of a trial.
        gpus: of a trial.

    Raises:
        ImpastoError: Ray is not installed, no cluster answers at the address, or no machine has what one trial wants.
    """
    require_engine()
    if address is not None:
        require_answer(address)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    own: dict[str, Any] = {}
    if address is None:
        own = {"num_cpus": os.cpu_count(), "include_dashboard": False, "object_store_memory": _STORE}
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(address=address, **own, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise unreachable(address or "this machine", one_line(error)) from error
    try:
        yield RayWorkers(ray, cpus, gpus)
    except ray.exceptions.RayError as error:  # of this machine's own Ray: what befalls a trial is told above
        raise _gone(one_line(error)) from error
    finally:
        ray.shutdown()


def _computed(job: Job) -> _Answer:
    """A segment, in a process of Ray's that computes one after the other; faults as data, since Ray wraps errors."""
    import ray

    os.environ.setdefault("IMPASTO_QUIET", "1")
    node = ray.get_runtime_context().get_node_id()
    machine = f"{os.uname().nodename}/{node[:8]}"
    try:
        return _Answer(node, machine, train_segment(job))
    except ImpastoError as error:
        return _Answer(node, machine, None, (error.what, f"{error.where}, on {machine}", error.remedy))
    except OSError as error:
        what, where = error.strerror or str(error), f"{error.filename or 'disk'}, on {machine}"
        return _Answer(node, machine, None, (what, where, "Check the path, its permissions and the free space there."))


def _gone(what: str) -> ImpastoError:
    return ImpastoError(what, where="the cluster", remedy="The same command goes on from what is on record.")
