"""What comes of a task on Ray: machines that cannot compute are left out, faults end in one line.

Ray itself is a stand-in that says what it is told; its errors are the real ones.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from impasto.errors import ImpastoError
from impasto.tuning.answering import require_answer
from impasto.tuning.cluster import RayWorkers, _Answer
from impasto.tuning.segment import Job, Segment
from loopback import free_port

JOB = Job("/repository", {}, {}, {}, 1)
FINE = Segment([{"loss": 1.0}], {"objective": 0.5}, True, None, 0.1)
FULL = Segment([], {}, True, None, 0.1, "out of memory: tried to allocate 3 GiB")
MISSING = ("data/pool is missing", "the machine b", "Have the same data there.")


class Ray:
    """Machines by name with their CPUs, and what each task comes to on the machine that it is let onto first."""

    def __init__(self, machines: dict[str, float], says: Callable[[str, int], Any]) -> None:
        self.machines, self.says = machines, says
        self.ran: list[str] = []
        self.exceptions = pytest.importorskip("ray.exceptions", reason="the extra `tune` is not installed")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": True, "Resources": {"CPU": n}} for name, n in self.machines.items()]

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        return lambda function: SimpleNamespace(options=self.options)

    def options(self, label_selector: dict[str, str] | None = None) -> Any:
        barred = (
            (label_selector or {}).get("ray.io/node-id", "!in()").removeprefix("!in(").removesuffix(")").split(", ")
        )
        machine = next(name for name in self.machines if name not in barred)
        return SimpleNamespace(remote=lambda job: (machine, object()))

    def put(self, job: Job) -> Job:
        return job

    def wait(self, running: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return running[:1], running[1:]

    def get(self, task: Any) -> _Answer:
        self.ran.append(task[0])
        found = self.says(task[0], len(self.ran))
        if isinstance(found, Exception):
            raise found
        if isinstance(found, tuple) and not isinstance(found, Segment):
            return _Answer(task[0], f"machine {task[0]}", None, found)
        return _Answer(task[0], f"machine {task[0]}", found)


def workers(ray: Ray, cpus: float = 1) -> RayWorkers:
    return RayWorkers(ray, cpus, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("have", "wants", "fit"), [(1.0, 0.2, 5), (1.0, 0.3, 3), (0.9, 0.3, 3), (4.0, 1.0, 4)])
def test_parts_of_a_device_are_counted_as_they_are_meant(have: float, wants: float, fit: int) -> None:
    """1.0 // 0.2 is 4."""
    assert workers(Ray({"a": have, "b": 0.1}, lambda *_: FINE), wants).slots == fit


def test_a_segment_says_where_it_was_computed() -> None:
    one = workers(Ray({"a": 1.0}, lambda *_: FINE))
    one.start(7, JOB)
    assert one.wait() == (7, FINE._replace(machine="machine a"))


def test_a_machine_that_has_no_data_is_left_out_and_its_trials_move(capsys: pytest.CaptureFixture[str]) -> None:
    ray = Ray({"a": 2.0, "b": 2.0}, lambda machine, _: MISSING if machine == "a" else FINE)
    one = workers(ray)
    assert one.slots == 4
    for trial in (1, 2):
        one.start(trial, JOB)
    assert sorted(one.wait()[0] for _ in range(2)) == [1, 2] and ray.ran == ["a", "a", "b", "b"]
    assert one.slots == 2 and capsys.readouterr().err.count("machine a computes no more of this search") == 1
    one.start(3, JOB)
    assert one.wait()[0] == 3 and ray.ran[-1] == "b"


def test_with_no_machine_left_its_fault_is_the_error() -> None:
    ray = Ray({"a": 1.0, "b": 1.0}, lambda *_: MISSING)
    one = workers(ray)
    one.start(0, JOB)
    with pytest.raises(ImpastoError, match=r"^data/pool is missing \[the machine b\]. Have the same data there.$"):
        one.wait()
    assert ray.ran == ["a", "b"]


def test_what_does_not_fit_into_memory_is_tried_once_elsewhere() -> None:
    ray = Ray({"a": 1.0, "b": 1.0}, lambda machine, _: FULL if machine == "a" else FINE)
    one = workers(ray)
    one.start(0, JOB)
    assert one.wait()[1].error is None and ray.ran == ["a", "b"] and one.slots == 2, "nobody is left out for it"
    alone = workers(last := Ray({"a": 1.0}, lambda *_: FULL))
    alone.start(0, JOB)
    assert alone.wait()[1].error == FULL.error and last.ran == ["a", "a"]


def failed(ray: Ray, told: str) -> int:
    """How often a job is tried whose last error is told in one line."""
    one = workers(ray)
    one.start(4, JOB)
    with pytest.raises(ImpastoError, match=told) as error:
        one.wait()
    assert "\n" not in str(error.value) and "The same command goes on" in str(error.value)
    return len(ray.ran)


def test_errors_of_ray_are_bounded_and_in_one_line() -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `tune` is not installed")
    broken = exceptions.RayTaskError(
        "_computed", "ray::_computed() (pid=5, ip=10.0.0.7)\nTraceback", ImportError("no impasto"), "ray", 5, "10.0.0.7"
    )
    for error, told, times in [
        (broken.as_instanceof_cause(), r"trial 4 could not be computed on 10.0.0.7: ImportError: no impasto", 3),
        (exceptions.OutOfMemoryError("killed\nlong"), "OutOfMemoryError: .*killed", 3),
        (exceptions.OutOfDiskError("the disk of a is full"), "OutOfDiskError: .*the disk of a is full", 3),
        (exceptions.ObjectLostError("ab", None, ""), "trial 4 could not be computed: ObjectLostError", 3),
        (exceptions.TaskUnschedulableError("nowhere"), "TaskUnschedulableError: .*nowhere", 3),
        (exceptions.WorkerCrashedError(), "trial 4 lost its process or machine 6 times", 1),
        (exceptions.NodeDiedError("gone"), "trial 4 lost its process or machine 6 times", 1),
    ]:
        assert failed(Ray({"a": 1.0}, lambda *_, error=error: error), told) == times


def test_an_error_that_passes_is_no_error() -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `tune` is not installed")
    ray = Ray({"a": 1.0}, lambda _, n: exceptions.ObjectLostError("ab", None, "") if n < 3 else FINE)
    one = workers(ray)
    one.start(0, JOB)
    assert one.wait()[1].parts == FINE.parts


@contextmanager
def listening(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of a server that takes one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as line:
                answer(line)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


SILENT, HTTP = (
    (lambda line: time.sleep(0.5)),
    (lambda line: line.recv(99) and line.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")),
)
CLOSED, SHORT = (lambda line: None), (lambda line: line.recv(99) and line.sendall(b"\0\0\0"))


@pytest.mark.parametrize(("answer", "told"), [
    (SILENT, "timed out"), (HTTP, "something else"), (CLOSED, "something else|reset"), (SHORT, "something else|reset")
])  # fmt: skip
def test_what_listens_and_is_no_cluster_is_told_at_once(
    answer: Callable[[socket.socket], object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself waits for minutes, and says so in its own words."""
    monkeypatch.setattr("impasto.tuning.answering._PATIENCE", 0.2)
    with listening(answer) as address, pytest.raises(ImpastoError, match=rf"no Ray cluster .* {address}: .*({told})"):
        require_answer(address)


def test_a_server_of_its_kind_is_taken() -> None:
    with listening(lambda line: line.recv(99) and line.sendall(b"\0\0\x06\4\0\0\0\0\0" + b"\0\3\0\0\0\1")) as address:
        require_answer(address)


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:", "127.0.0.1:99999", ":1", "127.0.0.1:PORT"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(ImpastoError, match="no Ray cluster answers"):
        require_answer(address.replace("PORT", str(free_port())))
