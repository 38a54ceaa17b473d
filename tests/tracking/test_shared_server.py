"""A real MLflow server: two machines log to it, it is killed and started again, and serves what was registered."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import torch
from finished import CLASSES, SIZE, finish
from PIL import Image
from tracking_repo import PARAMS
from twins import assert_same

from impasto.tracking import store
from loopback import Server, free_port
from tiny import ROOT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: One machine's pipeline: four stages of two dozen epochs, pushed as often as they are written.
MACHINE = """
import sys, time, torch
from pathlib import Path
from impasto.tracking import stage
stage._PUSH_SECONDS = stage._FLUSH_SECONDS = 0.0
stage._SHARE = 1.0
Path("table.csv").write_text("a\\n" + "1\\n" * 5000)
for name in ("select", "train", "finetune", "evaluate"):
    with stage.stage_run(name, {"train.epochs": 24}, "impasto digits") as run:
        for epoch in range(24):
            run.metrics({"loss": 1 / (epoch + 1), "gap": float("nan")}, step=epoch)
            time.sleep(0.1)
        run.artifact(Path("table.csv"), "tables")
        run.dataset("digits", Path("params.yaml"), source="made up", context="train")
        if name == "evaluate":
            run.model(torch.nn.Flatten(), torch.zeros(2, 3, 4, 4))
            run.summary({"clean": 0.5})
    print(name, flush=True)
"""


class Machine(NamedTuple):
    """A clone of the repository with a store of its own."""

    root: Path
    server: str

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
        own = {"PYTHONPATH": str(ROOT / "src"), "MLFLOW_TRACKING_URI": self.server, "DVC_ROOT": str(self.root)}
        return kept | own

    def start(self) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", MACHINE], cwd=self.root, env=self.environment(), **pipes)

    def track(self, *words: str) -> str:
        command = [sys.executable, "-m", "impasto", "track", *words]
        done = subprocess.run(command, cwd=self.root, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def store(self) -> MlflowClient:
        return store.connect(f"sqlite:///{self.root / 'mlflow.db'}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """As in docs/team.md, on an empty folder."""
    port, folder = free_port(), tmp_path / "server"
    folder.mkdir()
    where = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    words = [sys.executable, "-m", "mlflow", "server", *where, "--serve-artifacts", "--host", "127.0.0.1"]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    made = Server([*words, "--port", str(port), "--workers", "2"], port, "/health", environment, tmp_path / "log")
    made.start()
    yield made
    made.end(signal.SIGKILL)


@pytest.fixture
def machines(tmp_path: Path, server: Server, template: Path, monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    monkeypatch.setattr(store, "_warned", set())
    found = [Machine(tmp_path / name, server.uri) for name in ("one", "two")]
    for each in found:
        each.root.mkdir()
        (each.root / "params.yaml").write_text(PARAMS)
        shutil.copy(template, each.root / "mlflow.db")
    return found


def runs(client: MlflowClient) -> list[Run]:
    return store.search(client, "tags.stage != ''")


def until(what: Callable[[], bool], running: list[subprocess.Popen[str]], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline and any(each.poll() is None for each in running), "it came too late"
        time.sleep(0.2)


def test_two_machines_and_a_server_that_is_killed_meanwhile(server: Server, machines: list[Machine]) -> None:
    remote, running = store.connect(server.uri), [each.start() for each in machines]
    until(lambda: len([run for run in runs(remote) if run.data.metrics]) >= 2, running)
    seen = len(runs(remote))
    server.end(signal.SIGKILL)
    done = [len(runs(each.store)) for each in machines]
    until(lambda: all(len(runs(m.store)) > n for m, n in zip(machines, done, strict=True)), running)
    server.start()
    said = [each.communicate(timeout=300) for each in running]
    assert [each.returncode for each in running] == [0, 0]
    assert all(out.split() == ["select", "train", "finetune", "evaluate"] for out, _ in said)
    assert seen < 2 * 5, "it was killed while stages ran"
    for _, told in said:
        assert [line for line in told.splitlines() if "impasto track sync" in line] and "Traceback" not in told
    assert all("0 refused" in each.track("sync") for each in machines)
    for each in machines:
        assert " 0 runs sent" in f" {each.track('sync').splitlines()[-1]}"
    twins = {run.data.tags["impasto.local_run_id"]: run for run in runs(remote)}
    assert len(runs(remote)) == len(twins) == 2 * 5, "every run once"
    for each in machines:
        mine = runs(each.store)
        assert sorted(run.data.tags["stage"] for run in mine) == ["evaluate", "finetune", "pipeline", "select", "train"]
        for run in mine:
            assert_same(each.store, run, remote, twins[run.info.run_id])
            history = each.store.get_metric_history(run.info.run_id, "loss")
            assert len(history) == (0 if run.data.tags["stage"] == "pipeline" else 24)
    models = remote.search_logged_models([run.info.experiment_id for run in runs(remote)[:1]])
    assert [model.status for model in models] == ["READY", "READY"], "and every model once"


def post(uri: str, value: object) -> dict[str, list[list[float]]]:
    """What a server answers to JSON."""
    request = urllib.request.Request(uri, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, list[list[float]]] = json.load(answer)
    return found


def test_a_registered_model_answers_a_picture(server: Server, machines: list[Machine], tmp_path: Path) -> None:
    machine = machines[0]
    made = finish(machine.root)
    assert "models:/impasto-digits@champion" in machine.track("register", "--alias", "champion")
    remote = store.connect(server.uri)
    version = remote.get_model_version_by_alias("impasto-digits", "champion")
    assert "# A card" in (version.description or "") and version.tags["input"].startswith("float32")
    row = remote.get_run(version.run_id or "")
    assert row.data.tags["stage"] == "pipeline" and row.data.params["lambda_s"] == "0.5"
    assert len(runs(machine.store)) == len(runs(remote)) == 1
    machine.track("register", "--alias", "champion")
    assert len(remote.search_model_versions("name = 'impasto-digits'")) == 1

    port = free_port()
    words = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/impasto-digits@champion"]
    words += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = machine.environment() | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    serving = Server(words, port, "/ping", environment | {"PATH": path}, tmp_path / "serving")
    serving.start()
    try:
        stored = io.BytesIO()
        draws = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(draws).save(stored, "PNG")
        picture = np.asarray(Image.open(stored).convert("RGB")).transpose(2, 0, 1) / 255
        [logits] = post(f"{serving.uri}/invocations", {"inputs": [picture.tolist()]})["predictions"]
        with torch.no_grad():
            wanted = made(torch.from_numpy(picture[None]).float())[0]
        torch.testing.assert_close(torch.tensor(logits), wanted, rtol=1e-4, atol=1e-5)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(f"{serving.uri}/invocations", {"inputs": [[1, 2, 3]]})
    finally:
        serving.end(signal.SIGTERM)
    assert len(logits) == len(CLASSES)
