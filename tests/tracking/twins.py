"""What a run in the local store and its twin on a server have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def assert_same(local: MlflowClient, mine: Run, remote: MlflowClient, yours: Run) -> None:
    """The twin says what the local run says."""
    assert mine.data.params == yours.data.params
    assert mine.info.status == yours.info.status
    assert mine.info.run_name == yours.info.run_name
    assert (mine.info.start_time, mine.info.end_time) == (yours.info.start_time, yours.info.end_time)
    assert yours.data.tags["impasto.local_run_id"] == mine.info.run_id
    assert mine.inputs
    assert yours.inputs
    assert mine.inputs.dataset_inputs == yours.inputs.dataset_inputs
    assert points(local, mine) == points(remote, yours)
    assert tables(local, mine) == tables(remote, yours)


def points(client: MlflowClient, run: Run) -> list[tuple[object, ...]]:
    """Every metric point of a run; NaN as text, which equals itself."""
    history = [point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)]
    return sorted((point.key, point.step, point.timestamp, str(point.value)) for point in history)


def tables(client: MlflowClient, run: Run) -> list[tuple[str, int | None]]:
    """The artifacts of a run, and their sizes."""
    return [(item.path, item.file_size) for item in client.list_artifacts(run.info.run_id, "tables")]
