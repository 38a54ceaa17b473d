from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tracking_repo import children, git, parents

from impasto.tracking import stage as stage_module
from impasto.tracking import store
from impasto.tracking.stage import stage_run
from impasto.workspace import main_root

if TYPE_CHECKING:
    from mlflow import MlflowClient


def run_stage(stage: str = "train", **metrics: float) -> None:
    with stage_run(stage, {"train.epochs": 2}, "impasto digits") as run:
        run.metrics(metrics)


def test_stages_are_children_of_one_row_with_every_parameter(client: MlflowClient) -> None:
    run_stage("select")
    run_stage("train", loss=0.25)
    (parent,) = parents(client)
    assert parent.info.run_name == "workspace"
    assert parent.info.status == "FINISHED"
    expected = {"seed": "3", "seeds": "[0, 1]", "lambda_s": "0.5", "dataset.name": "digits", "dataset.root": "null"}
    assert parent.data.params == expected | {"train.epochs": "2"}
    select, train = children(client, parent)
    assert [run.data.tags["stage"] for run in (select, train)] == ["select", "train"]
    assert train.data.params == {"train.epochs": "2"}
    assert train.data.metrics == {"loss": 0.25}
    assert train.info.run_name == "workspace/train"


def test_a_run_says_where_it_came_from(repo: Path, client: MlflowClient) -> None:
    (repo / "input.txt").write_text("x")
    with stage_run("train", {}, "impasto digits", {"text": repo / "input.txt"}) as run:
        run.dataset("digits", repo / "input.txt", source="made up", context="train")
        run.artifact(repo / "input.txt", "texts")
    (child,) = children(client, parents(client)[0])
    tags = child.data.tags
    assert tags["git.revision"] == tags["dvc.baseline"] == git("rev-parse", "HEAD")
    assert (tags["git.dirty"], tags["seed"], tags["seeds"], tags["device"]) == ("true", "3", "[0, 1]", "cpu")
    assert tags["torch.version"] == torch.__version__.partition("+")[0]
    assert child.inputs
    (used,) = child.inputs.dataset_inputs
    assert used.dataset.digest == tags["input.text"]
    assert "made up" in used.dataset.source
    assert [item.path for item in client.list_artifacts(child.info.run_id, "texts")] == ["texts/input.txt"]
    assert child.info.artifact_uri.startswith((repo / "mlartifacts").as_uri())


def test_rows_are_keyed_by_experiment_baseline_and_parameters(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage()
    (repo / "params.yaml").write_text((repo / "params.yaml").read_text() + "# the same\n")
    run_stage()
    assert len(parents(client)) == 1
    (repo / "params.yaml").write_text((repo / "params.yaml").read_text().replace("0.5", "0.6"))
    run_stage()
    monkeypatch.setenv("DVC_EXP_NAME", "wet-kiwi")
    run_stage()
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "a" * 40)
    run_stage()
    assert [row.info.run_name for row in parents(client)] == ["workspace", "workspace", "wet-kiwi", "wet-kiwi"]


def test_queued_experiments_log_to_the_main_workspace(
    repo: Path, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "params.yaml").write_text("seed: 9\n")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(repo))
    run_stage()
    assert [path.name for path in copy.iterdir()] == ["params.yaml"]
    assert parents(client)[0].data.params == {"seed": "9"}


def test_the_summary_is_written_once(client: MlflowClient) -> None:
    for mean in (0.5, 0.5, 0.75):
        with stage_run("report", {}, "impasto digits") as run:
            run.summary({"clean": {"mean": mean, "seeds": [1]}, "note": "text"})
    (parent,) = parents(client)
    assert parent.data.metrics == {"clean.mean": 0.75}
    history = client.get_metric_history(parent.info.run_id, "clean.mean")
    assert [point.value for point in history] == [0.5, 0.75]


def test_metrics_are_written_in_batches(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    log = store.log

    def spy(client: MlflowClient, run_id: str, metrics: Any = (), params: Any = None) -> None:
        sizes.append(len(metrics))
        log(client, run_id, metrics, params)

    monkeypatch.setattr(store, "log", spy)
    monkeypatch.setattr(stage_module, "_FLUSH_SECONDS", 1e9)
    with stage_run("train", {}, "impasto digits") as run:
        for epoch in range(600):
            run.metrics({"loss": 1 / (epoch + 1), "lr": 0.1}, step=epoch)
        run.metrics({f"many{i}": 0.0 for i in range(1500)})
    assert [size for size in sizes if size] == [500, 500, 1700]
    (child,) = children(client, parents(client)[0])
    history = client.get_metric_history(child.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(epoch, 1 / (epoch + 1)) for epoch in range(600)]
    assert len(child.data.metrics) == 1502


def test_writing_takes_no_more_than_its_share_of_the_time(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that needs 0.2 s, epochs of 10 s: without the limit every one of them would be written alone."""
    clock, written = [0.0], []

    def slow(client: MlflowClient, run_id: str, metrics: Any = (), params: Any = None) -> None:
        if metrics:
            clock[0] += 0.2
            written.append(len(metrics))

    monkeypatch.setattr(stage_module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(store, "log", slow)
    run = stage_module.StageRun(stage_module._Link(client, "a", "b", "c", None))
    for epoch in range(100):
        clock[0] += 10
        run.metrics({"loss": 1.0}, step=epoch)
    assert written == [1] + [5] * 19, "0.2 s are 0.4 % of 50 s"


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED"), (SystemExit, "FAILED")]
)
def test_the_status_tells_how_a_stage_ended(client: MlflowClient, error: type[BaseException], status: str) -> None:
    def stage() -> None:
        with stage_run("train", {}, "impasto digits") as run:
            run.metrics({"loss": 1.0})
            raise error

    with pytest.raises(error):
        stage()
    (parent,) = parents(client)
    (child,) = children(client, parent)
    assert (child.info.status, parent.info.status) == (status, status)
    assert child.data.metrics == {"loss": 1.0}
    run_stage()
    assert parents(client)[0].info.status == "FINISHED"


def test_a_run_whose_process_died_is_ended_by_the_next(client: MlflowClient) -> None:
    run_stage()
    (dead,) = children(client, parents(client)[0])
    client.update_run(dead.info.run_id, status="RUNNING")
    run_stage("select")
    assert client.get_run(dead.info.run_id).info.status == "RUNNING"
    run_stage()
    assert client.get_run(dead.info.run_id).info.status == "KILLED"


def test_only_one_process_of_several_logs(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run_stage(loss=1.0)
    assert not parents(client)


def test_a_store_that_cannot_be_opened_costs_one_warning(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "mlflow.db").write_bytes(b"no database" * 999)
    for _ in range(2):
        with stage_run("train", {}, "impasto digits") as run:
            run.metrics({"loss": 1.0})
            run.summary({"a": 1})
            run.artifact(repo / "params.yaml")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("impasto: ")] == lines
    assert len(lines) == 1
    assert "the stage runs untracked" in lines[0]


def test_metrics_survive_a_failed_flush(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    with stage_run("train", {}, "impasto digits") as run:
        with monkeypatch.context() as broken:
            broken.setattr(store, "log", full)
            for step in range(3):
                run.metrics({"loss": 1.0}, step=step)
                run.flush()
        run.flush()
    assert capsys.readouterr().err.count("no space left") == 1
    (child,) = children(client, parents(client)[0])
    assert len(client.get_metric_history(child.info.run_id, "loss")) == 3


def test_importing_the_package_does_not_import_mlflow() -> None:
    names = ["execution", "experiments", "model", "push", "stage", "store"]
    code = f"import sys; {'; '.join(f'import impasto.tracking.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mlflow", "torch", "sqlalchemy", "filelock"} & set(loaded)


@pytest.mark.slow
def test_a_logged_model_loads_without_pickle_for_any_batch(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow.pytorch

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Dropout()
    )
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with stage_run("evaluate", {}, "impasto digits") as run:
        run.model(module, images)
    assert module.training
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    assert "pickle" not in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{main_root() / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    (child,) = children(client, parents(client)[0])
    assert child.info.status == "FINISHED"
    assert child.outputs
    loaded = mlflow.pytorch.load_model(f"models:/{child.outputs.model_outputs[0].model_id}")
    torch.testing.assert_close(loaded(images), module.eval()(images))


def test_opening_and_closing_is_quick(client: MlflowClient) -> None:
    begun = time.monotonic()
    run_stage(loss=1.0)
    assert time.monotonic() - begun < 5
