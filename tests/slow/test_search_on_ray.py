"""`impasto tune` on Ray as a user calls it: killed and called again, interrupted, on a cluster that loses a machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from impasto.io import read_csv
from loopback import free_port
from repository import heeding_interrupts
from searchable import prepare_search
from tiny import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra `tune` is not installed: make extras"
    ),
]
Found = list[tuple[dict[str, Any], list[dict[str, float]], str]]
POINTS = [round(0.1 * step, 1) for step in range(6)]
COMPUTING = "ray::_computed"
SEARCHES: list[dict[str, Any]] = [{"method": "grid", "space": [{"parameter": "lambda_s", "values": POINTS}]}]


def prepare(root: Path) -> None:
    prepare_search(root, tune__searches=SEARCHES, train__epochs=8)


def environment(root: Path, **extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "IMPASTO_", "MLFLOW_", "RAY_"))}
    code = os.pathsep.join(filter(None, (str(root / "src"), os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": code, "IMPASTO_THREADS": "1", "IMPASTO_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    return (
        kept | own | {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"} | extra
    )


def start(root: Path, *words: str, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        heeding_interrupts(["-m", "impasto", "tune", *words]), cwd=root, env=environment(root, **extra), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def finished(root: Path) -> dict[str, float]:
    """Record of every trial that is over, and when it was written."""
    found = {}
    for path in root.glob("sweeps/*/*/*.json"):
        with suppress(FileNotFoundError):
            if json.loads(path.read_text())["status"] == "finished":
                found[path.name] = path.stat().st_mtime
    return found


def wait_for(root: Path, count: int, process: subprocess.Popen[str]) -> dict[str, float]:
    deadline = time.monotonic() + 400
    while len(there := finished(root)) < count:
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return there


def records(root: Path) -> list[dict[str, Any]]:
    """All trials as they are on record, by number."""
    found = []
    for path in sorted(root.glob("sweeps/*/*/*.json")):
        with suppress(FileNotFoundError):  # a later record has taken its place
            found.append(json.loads(path.read_text()))
    return found


def found(root: Path) -> Found:
    """Of each trial its leaves, the rows of its epochs, to the bit, and the objective that the table has."""
    table = [row["objective"] for row in read_csv(root / "tune" / "trials.csv")]
    return [(one["leaves"], one["rows"], worth) for one, worth in zip(records(root), table, strict=True)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What one process finds, without Ray."""
    root = tmp_path_factory.mktemp("here")
    prepare(root)
    process = start(root, "--here")
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]
    losses = {tuple(row["loss"] for row in rows) for _, rows, _ in found(root)}
    assert len(losses) == len(POINTS), "equal trials would tell nothing"
    return found(root)


def test_a_killed_search_goes_on_and_repeats_no_finished_trial(tmp_path: Path, expected: Found) -> None:
    """kill -9 of the driver, then an interrupt; the third call ends where one process does, with the same numbers."""
    prepare(tmp_path)
    process = start(tmp_path)
    before = wait_for(tmp_path, 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    process = start(tmp_path)
    wait_for(tmp_path, len(before) + 1, process)
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    between = finished(tmp_path)
    process = start(tmp_path)
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]
    assert found(tmp_path) == expected
    after = finished(tmp_path)
    assert {name: after[name] for name in between} == between and before.items() <= between.items()
    assert "apply it: impasto preset tune/best.yaml" in said
    shutil.rmtree(tmp_path / "sweeps")


@contextmanager
def cluster(place: Path, **second: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of two nodes with a core each, and their processes: the head, and one with settings of its own."""
    port = free_port()
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--num-gpus=0",
           "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"]  # fmt: skip
    own = [f"--dashboard-agent-listen-port={free_port()}" for _ in range(2)]  # two nodes on a machine would share it
    head = [*ray, own[0], "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir=/tmp/impasto-{port}"]
    other, address = [*ray, own[1], f"--address=127.0.0.1:{port}"], f"127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    nodes = []
    try:
        nodes.append(subprocess.Popen(head, env=environment(place), **quiet))
        deadline = time.monotonic() + 120
        while not answers(port):
            assert time.monotonic() < deadline and nodes[0].poll() is None
            time.sleep(0.5)
        nodes.append(subprocess.Popen(other, env=environment(place, **second), **quiet))
        while len(nodes_of(address, place)) < 2:
            assert time.monotonic() < deadline + 200
        yield address, nodes
    finally:
        for node in reversed(nodes):
            end(node)
        shutil.rmtree(f"/tmp/impasto-{port}", ignore_errors=True)


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def below(pid: int) -> dict[int, str]:
    """The processes that a process has started, and those that these have, with what they are called."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found, parents = dict[int, str](), {pid}
    while parents:
        inner = {int(own): name for own, parent, name in rows if int(parent) in parents}
        found, parents = found | inner, set(inner)
    return found


def end(node: subprocess.Popen[bytes]) -> None:
    """Kill a node as a power cut would: all of its processes at once."""
    for pid in [node.pid, *below(node.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.wait(timeout=60)


def nodes_of(address: str, root: Path) -> set[str]:
    """The nodes of a cluster that are alive, as a record names them."""
    code = (
        f"import ray, logging; ray.init(address={address!r}, logging_level=logging.ERROR);"
        "print('nodes', *(node['NodeID'][:8] for node in ray.nodes() if node['Alive']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(root), capture_output=True, text=True)
    return set(done.stdout.split()[1:]) if done.returncode == 0 else set()


def nodes_that_worked(root: Path) -> set[str]:
    return {name.partition("/")[2] for one in records(root) for name in one["machines"]}


def hold(node: subprocess.Popen[bytes]) -> bool:
    """Stop a process of a node in the middle of a segment, after which Ray names it; whether there is one."""
    for pid in [pid for pid, name in below(node.pid).items() if name.startswith(COMPUTING)]:
        os.kill(pid, signal.SIGSTOP)
        if below(node.pid).get(pid, "").startswith(COMPUTING):
            return True
        os.kill(pid, signal.SIGCONT)
    return False


def test_a_machine_that_is_lost_costs_nothing(tmp_path: Path, expected: Found) -> None:
    """Of two, one is killed in the middle of a segment: all trials are there, with the numbers of one process."""
    prepare(tmp_path)
    with cluster(tmp_path) as (address, nodes):
        there = nodes_of(address, tmp_path)
        refused = start(tmp_path, "--address", address, "--cpus", "2")
        said = refused.communicate(timeout=200)[0]
        assert refused.returncode == 2 and "a trial wants 2 CPUs and 0 GPUs, and no machine has them" in said
        assert not list(tmp_path.glob("sweeps/*/*/*")), "nothing had started"
        process = start(tmp_path, "--address", address)
        while len(nodes_that_worked(tmp_path)) < 2 or not hold(nodes[1]):
            assert process.poll() is None, process.communicate()[0][-3000:]
            time.sleep(0.05)
        end(nodes[1])
        said = process.communicate(timeout=400)[0]
        assert process.returncode == 0, said[-3000:]
        assert found(tmp_path) == expected
        (left,) = nodes_of(address, tmp_path)
        assert there - {left} < nodes_that_worked(tmp_path) == there, "also the lost one had computed"


def test_a_machine_with_other_code_gets_no_trial(tmp_path: Path, expected: Found) -> None:
    """It is named, and the other one computes them all."""
    code = tmp_path / "other"
    shutil.copytree(ROOT / "src" / "impasto", code / "impasto", ignore=shutil.ignore_patterns("__pycache__"))
    with (code / "impasto" / "models" / "wrn.py").open("a") as file:
        file.write("# of another commit")
    root = tmp_path / "work"
    root.mkdir()
    prepare(root)
    with cluster(root, PYTHONPATH=str(code)) as (address, _):
        process = start(root, "--address", address)
        said = process.communicate(timeout=400)[0]
        assert process.returncode == 0, said[-3000:]
        told = [line for line in said.splitlines() if "computes no more of this search" in line]
        assert len(told) == 1 and "src of" in told[0] and "is not what the search was called with" in told[0]
        assert found(root) == expected and len(nodes_that_worked(root)) == 1


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"), ("nowhere", "an address is HOST:PORT")],
)
def test_an_address_that_nobody_answers_is_told_at_once(tmp_path: Path, address: str, told: str) -> None:
    prepare(tmp_path)
    process = start(tmp_path, "--address", address)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and told in said and said.count("\n") == 1
    assert not list(tmp_path.glob("sweeps/*/*/*"))


def test_what_listens_and_is_no_cluster_is_told_in_one_line(tmp_path: Path) -> None:
    """Ray waits minutes for it, and prints what its C++ thinks of that."""
    prepare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = start(tmp_path, "--address", address).communicate(timeout=120)[0]
    assert f"no Ray cluster answers at {address}: timed out" in said and said.count("\n") == 1
