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
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from impasto.io import read_csv
from repository import heeding_interrupts
from searchable import prepare_search

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra `tune` is not installed: make extras"
    ),
]
POINTS = [round(0.1 * step, 1) for step in range(6)]
SEARCHES: list[dict[str, Any]] = [{"method": "grid", "space": [{"parameter": "lambda_s", "values": POINTS}]}]


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
    files = root.glob("sweeps/*/*/*.json")
    return {path.name: path.stat().st_mtime for path in files if json.loads(path.read_text())["status"] == "finished"}


def wait_for(root: Path, count: int, process: subprocess.Popen[str]) -> dict[str, float]:
    deadline = time.monotonic() + 400
    while len(found := finished(root)) < count:
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def objectives(root: Path) -> list[tuple[str, str, str]]:
    return [(row["trial"], row["lambda_s"], row["objective"]) for row in read_csv(root / "tune" / "trials.csv")]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """What one process finds, without Ray."""
    root = tmp_path_factory.mktemp("here")
    prepare_search(root, tune__searches=SEARCHES)
    process = start(root, "--here")
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]
    return objectives(root)


def test_a_killed_search_goes_on_and_repeats_no_finished_trial(tmp_path: Path, expected: list[Any]) -> None:
    """kill -9 of the driver, then an interrupt; the third call ends where one process does, with the same numbers."""
    prepare_search(tmp_path, tune__searches=SEARCHES)
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
    assert objectives(tmp_path) == expected
    after = finished(tmp_path)
    assert {name: after[name] for name in between} == between and before.items() <= between.items()
    assert "apply it: impasto preset tune/best.yaml" in said
    shutil.rmtree(tmp_path / "sweeps")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of two nodes with a core each, and their processes: the head and another one."""
    port, place = free_port(), tmp_path / "work"
    place.mkdir()
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--num-gpus=0",
           "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"]  # fmt: skip
    own = [f"--dashboard-agent-listen-port={free_port()}" for _ in range(2)]  # two nodes on a machine would share it
    head = [*ray, own[0], "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir=/tmp/impasto-{port}"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    nodes = []
    try:
        nodes.append(subprocess.Popen(head, env=environment(place), **quiet))
        deadline = time.monotonic() + 120
        while not answers(port):
            assert time.monotonic() < deadline and nodes[0].poll() is None
            time.sleep(0.5)
        nodes.append(subprocess.Popen([*ray, own[1], f"--address=127.0.0.1:{port}"], env=environment(place), **quiet))
        yield f"127.0.0.1:{port}", nodes
    finally:
        for node in reversed(nodes):
            end(node)
        shutil.rmtree(f"/tmp/impasto-{port}", ignore_errors=True)


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [inner for child in map(int, listed) for inner in (child, *below(child))]


def end(node: subprocess.Popen[bytes]) -> None:
    """Kill a node as a power cut would: all of its processes at once."""
    for pid in [node.pid, *below(node.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.wait(timeout=60)


def alive(address: str, root: Path) -> int:
    code = (
        f"import ray, logging; ray.init(address={address!r}, logging_level=logging.ERROR);"
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(root), capture_output=True, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def test_a_machine_that_is_lost_costs_nothing(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, expected: list[Any]
) -> None:
    """Of two, one is killed in the middle of the search: all trials are there, with the numbers of one process."""
    address, nodes = cluster
    root = tmp_path / "work"
    prepare_search(root, tune__searches=SEARCHES)
    deadline = time.monotonic() + 200
    while alive(address, root) < 2:
        assert time.monotonic() < deadline
    refused = start(root, "--address", address, "--cpus", "2")
    said = refused.communicate(timeout=200)[0]
    assert refused.returncode == 2 and "a trial wants 2 CPUs and 0 GPUs, and no machine has them" in said
    assert not (root / "sweeps").exists(), "nothing had started"
    process = start(root, "--address", address)
    wait_for(root, 1, process)
    end(nodes[1])
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said[-3000:]
    assert objectives(root) == expected


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"), ("nowhere", "an address is HOST:PORT")],
)
def test_an_address_that_nobody_answers_is_told_at_once(tmp_path: Path, address: str, told: str) -> None:
    prepare_search(tmp_path, tune__searches=SEARCHES)
    process = start(tmp_path, "--address", address)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and told in said and said.count("\n") == 1
    assert not (tmp_path / "sweeps").exists()
