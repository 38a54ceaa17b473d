from __future__ import annotations

import http.server
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from tracking_repo import children, parents
from twins import assert_same

from impasto.errors import ImpastoError
from impasto.tracking import push, store
from impasto.tracking import stage as stage_module
from impasto.tracking.stage import stage_run
from loopback import Server, free_port

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def run_stage(stage: str, folder: Path, model: bool = False) -> None:
    """A stage that logs one of everything."""
    (folder / "table.csv").write_text("a\n1\n")
    with stage_run(stage, {"train.epochs": 2}, "impasto digits") as run:
        for epoch in range(3):
            run.metrics({"loss": 1 / (epoch + 1), "gap": float("nan")}, step=epoch)
        run.artifact(folder / "table.csv", "tables")
        run.dataset("digits", folder / "params.yaml", source="made up", context="train")
        run.summary({"clean": 0.5})
        if model:
            run.model(torch.nn.Flatten(), torch.zeros(2, 3, 4, 4))


def assert_twins(local: MlflowClient, remote: MlflowClient) -> None:
    """The server's rows and stages say what the local ones say."""
    (ours,), (theirs,) = parents(local), parents(remote)
    pairs = [(ours, theirs), *zip(children(local, ours), children(remote, theirs), strict=True)]
    for mine, yours in pairs:
        assert_same(local, mine, remote, yours)


@pytest.fixture
def other(repo: Path, template: Path, tmp_path: Path) -> str:
    """Another store, in the place of a server."""
    path = tmp_path / "other.db"
    path.write_bytes(template.read_bytes())
    store.experiment_id(store.connect(f"sqlite:///{path}"), "impasto digits", (tmp_path / "other").as_uri())
    return f"sqlite:///{path}"


def test_sync_sends_everything_once(repo: Path, client: MlflowClient, other: str) -> None:
    run_stage("train", repo)
    run_stage("evaluate", repo)
    assert push.sync(other) == push.Counts(sent=3, failed=0)
    remote = store.connect(other)
    assert_twins(client, remote)
    assert push.sync(other) == push.Counts(sent=0, failed=0)
    for run in store.search(client, "tags.stage != ''"):
        client.set_tag(run.info.run_id, store.SYNC, "pending")
    assert push.sync(other) == push.Counts(sent=3, failed=0)
    assert_twins(client, remote)
    child = children(remote, parents(remote)[0])[0]
    assert len(remote.get_metric_history(child.info.run_id, "loss")) == 3


def log_model(client: MlflowClient, run: Run, folder: Path) -> None:
    """A model of one file, in a run of the local store."""
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(run.info.experiment_id, "model", run.info.run_id)
    (folder / "MLmodel").write_text("weights")
    client.log_model_artifact(model.model_id, str(folder / "MLmodel"))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])


def test_a_model_is_sent_once(repo: Path, client: MlflowClient, other: str, tmp_path: Path) -> None:
    run_stage("evaluate", repo)
    (evaluate,) = children(client, parents(client)[0])
    log_model(client, evaluate, tmp_path)
    remote = store.connect(other)
    for _ in range(2):
        push.push(client, remote, other, evaluate.info.run_id)
    (twin,) = children(remote, parents(remote)[0])
    assert twin.outputs
    (output,) = twin.outputs.model_outputs
    copy = Path(remote.get_logged_model(output.model_id).artifact_location.removeprefix("file://"))
    assert copy.is_relative_to(tmp_path / "other")
    assert (copy / "MLmodel").read_text() == "weights"


@pytest.mark.parametrize("step", ["log_model_artifacts", "log_outputs", "finalize_logged_model"])
def test_a_model_whose_sending_broke_off_is_sent_on(
    repo: Path, client: MlflowClient, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def lost(*_: object) -> None:
        raise OSError("the connection was lost")

    run_stage("evaluate", repo)
    (evaluate,) = children(client, parents(client)[0])
    log_model(client, evaluate, tmp_path)
    remote = store.connect(other)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="lost"):
        broken.setattr(remote, step, lost)
        push.push(client, remote, other, evaluate.info.run_id)
    push.push(client, remote, other, evaluate.info.run_id)
    (twin,) = children(remote, parents(remote)[0])
    (model,) = remote.search_logged_models([twin.info.experiment_id])
    assert model.status == "READY" and twin.outputs
    assert [output.model_id for output in twin.outputs.model_outputs] == [model.model_id]
    assert (Path(model.artifact_location.removeprefix("file://")) / "MLmodel").read_text() == "weights"


def test_a_later_stage_updates_the_row_on_the_server(repo: Path, client: MlflowClient, other: str) -> None:
    run_stage("train", repo)
    push.sync(other)
    with stage_run("report", {}, "impasto digits") as run:
        run.summary({"clean": 0.75})
    assert push.sync(other) == push.Counts(sent=2, failed=0)
    assert_twins(client, store.connect(other))
    assert parents(store.connect(other))[0].data.metrics == {"clean": 0.75}


def test_what_the_server_refuses_stays_pending(
    repo: Path, client: MlflowClient, other: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("refused")

    run_stage("train", repo)
    with monkeypatch.context() as broken:
        broken.setattr(push, "_push_artifacts", refuse)
        assert push.sync(other) == push.Counts(sent=0, failed=2)
    assert capsys.readouterr().err.count("it stays pending") == 2
    assert push.sync(other) == push.Counts(sent=2, failed=0)
    assert_twins(client, store.connect(other))


def test_a_dead_server_is_warned_of_once_and_costs_little(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage("warm", repo)
    begun = time.monotonic()
    run_stage("local", repo)
    local = time.monotonic() - begun
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{free_port()}")
    begun = time.monotonic()
    run_stage("train", repo)
    run_stage("evaluate", repo)
    assert time.monotonic() - begun < 2 * local + 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "does not answer" in lines[0]
    assert "secret" not in lines[0]
    assert {run.data.tags[store.SYNC] for run in children(client, parents(client)[0])} == {"pending"}


def test_a_silent_address_is_given_up_within_two_seconds() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        assert not push.answers(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begun < 3


@pytest.fixture(params=[200, 401, 404, 503])
def answering(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """A server that answers everything with one status, and the status."""
    status: int = request.param

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/path/", status
        server.shutdown()


def test_any_answer_but_a_gateways_error_is_a_server(answering: tuple[str, int]) -> None:
    address, status = answering
    assert push.answers(address) == (status != 503)


@pytest.mark.parametrize("address", ["closed", "itself"])
def test_sync_names_what_is_wrong_with_the_address(repo: Path, address: str) -> None:
    uri = store.store_uri() if address == "itself" else f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ImpastoError, match="is the local store" if address == "itself" else "does not answer"):
        push.sync(uri)


@pytest.fixture
def server(repo: Path, template: Path, tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on this machine."""
    path, port = tmp_path / "server.db", free_port()
    path.write_bytes(template.read_bytes())
    where = ["--backend-store-uri", f"sqlite:///{path}", "--artifacts-destination", (tmp_path / "served").as_uri()]
    words = [sys.executable, "-m", "mlflow", "server", *where, "--port", str(port), "--workers", "1"]
    process = Server(words, port, "/health", os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, tmp_path / "log")
    process.start()
    yield process.uri
    process.end(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_server_gets_runs_live_and_afterwards(
    repo: Path, client: MlflowClient, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage("split", repo)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setattr(stage_module, "_PUSH_SECONDS", 0.0)
    remote = store.connect(server)
    with stage_run("train", {}, "impasto digits") as run:
        run.metrics({"loss": 0.5})
        run.flush()
        (running,) = store.search(remote, "tags.stage = 'train'")
        assert (running.info.status, running.data.metrics) == ("RUNNING", {"loss": 0.5})
    run_stage("evaluate", repo, model=True)
    assert_twins(client, remote)
    (evaluate,) = store.search(remote, "tags.stage = 'evaluate'")
    assert evaluate.outputs
    (output,) = evaluate.outputs.model_outputs
    names = {item.path.rpartition("/")[2] for item in remote.list_logged_model_artifacts(output.model_id)}
    assert "MLmodel" in names
    assert push.sync(server) == push.Counts(sent=0, failed=0)
