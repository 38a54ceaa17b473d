"""A search in MLflow: nested trials, taken up after a kill, sent to a server, and never in the way of the search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from impasto.tracking import store
from impasto.tracking.search import search_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROWS = [{"loss": 1.0, "validation_accuracy": 0.5}, {"loss": 0.5, "validation_accuracy": 0.75}]
KEY = "abcdef0123456789"
PARAMS = {"lambda_s": 0.5, "train": {"epochs": 2}}


def search(**changes: Any) -> Any:
    return search_run(
        **{"key": "abcdef0123456789", "experiment": "impasto digits", "params": PARAMS, "inputs": {}} | changes
    )


def trials(client: MlflowClient, parent: Run) -> list[Run]:
    return store.search(client, f"tags.`{store.PARENT}` = '{parent.info.run_id}'")


def test_trials_are_nested_with_flat_parameters_and_a_point_for_each_epoch(repo: Path, client: MlflowClient) -> None:
    with search() as run:
        run.trial("1-grid-000", {"trial": 0, "train.learning_rate": 0.1}, ROWS[:1], {}, None)
        run.trial("1-grid-000", {}, ROWS, {"objective": 0.8}, "FINISHED")
        run.trial("1-grid-001", {"trial": 1, "train.learning_rate": 0.2}, ROWS[:1], {}, "FAILED")
        run.summary({"best/objective": 0.8})
        run.artifact(repo / "params.yaml")
    (parent,) = store.search(client, "tags.stage = 'tune'")
    assert parent.info.status == "FINISHED" and parent.data.metrics == {"best/objective": 0.8}
    assert parent.data.params == {"lambda_s": "0.5", "train.epochs": "2"}
    assert [item.path for item in client.list_artifacts(parent.info.run_id)] == ["params.yaml"]
    first, second = trials(client, parent)
    assert first.data.params == {"trial": "0", "train.learning_rate": "0.1"}
    assert first.data.metrics == {"loss": 0.5, "validation_accuracy": 0.75, "objective": 0.8}
    points = client.get_metric_history(first.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.5)]
    assert [run.info.status for run in (first, second)] == ["FINISHED", "FAILED"]


def test_a_search_that_goes_on_finds_its_runs_and_adds_what_they_lack(repo: Path, client: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), search() as run:
        run.trial("1-grid-000", {"trial": 0}, ROWS[:1], {}, None)
        raise KeyboardInterrupt
    assert [run.info.status for run in store.search(client, "tags.stage = 'tune'")] == ["KILLED"]
    with search() as run:
        run.trial("1-grid-000", {"trial": 0}, ROWS, {"objective": 0.8}, "FINISHED")
    (parent,) = store.search(client, "tags.stage = 'tune'")
    (trial,) = trials(client, parent)
    points = client.get_metric_history(trial.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.5)]
    with search() as run:
        run.trial("1-grid-000", {"trial": 0}, ROWS, {"objective": 0.8}, "FINISHED")
    finals = client.get_metric_history(trial.info.run_id, "objective")
    assert [(point.step, point.value) for point in finals] == [(2, 0.8)], "also when it is told again"
    with search(key="another") as run:
        pass
    assert len(store.search(client, "tags.stage = 'tune'")) == 2


def test_rows_before_a_member_took_over_are_not_its_own(repo: Path, client: MlflowClient) -> None:
    with search() as run:
        run.trial("1-pbt-000", {}, ROWS, {}, "FINISHED", first=1)
    (trial,) = trials(client, store.search(client, "tags.stage = 'tune'")[0])
    assert [point.step for point in client.get_metric_history(trial.info.run_id, "loss")] == [1]


def test_a_dead_server_is_told_once_and_stops_nothing(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with search() as run:
        run.trial("1-grid-000", {}, ROWS, {}, "FINISHED")
    assert capsys.readouterr().err.count("does not answer") == 1
    pending = [
        run.data.tags[store.SYNC] for run in store.search(client, "tags.`impasto.execution` = 'abcdef0123456789'")
    ]
    assert pending == ["pending"] * 2, "`impasto track sync` sends them later"


def test_a_broken_store_stops_nothing(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "mlflow.db").write_text("no database, and too long to be an empty one" * 50)
    with search() as run:
        run.trial("1-grid-000", {}, ROWS, {}, "FINISHED")
        run.summary({"best": 1.0})
    assert "the search runs untracked" in capsys.readouterr().err
