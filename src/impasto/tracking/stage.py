"""What a stage logs: one child run per execution of the stage, under the parent run of the pipeline's execution."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.runtime import first
from impasto.tracking import store
from impasto.tracking.execution import code_tags, content_digest, current, input_tags, numbers
from impasto.tracking.push import Server
from impasto.tracking.siblings import Sibling, siblings

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient

_FLUSH_SECONDS = 5.0
_FLUSH_POINTS = 500
_PUSH_SECONDS = 20.0
_SHARE = 0.004  # of a stage's time that writing may take, and sending as much again


@dataclass(frozen=True)
class _Link:
    """An open child run in the local store."""

    client: MlflowClient
    run_id: str
    parent_id: str
    execution: str
    server: Server | None


@contextmanager
def stage_run(
    stage: str, params: Mapping[str, Any], experiment: str, inputs: Mapping[str, Path] | None = None
) -> Iterator[StageRun]:
    """Log one execution of a stage, run in the folder that holds ``params.yaml``.

    The run goes to the local store first, then to the server of MLFLOW_TRACKING_URI, if there is
    one. A failure of either is warned of once and never reaches the stage. It ends FINISHED, KILLED
    when the stage is interrupted, or FAILED.

    Args:
        stage: the stage's name.
        params: the parameters that the stage reads, flat (``"train.epochs"``) or nested.
        experiment: the MLflow experiment: the name of the dataset.
        inputs: what the stage reads, by name; logged as digests.
    """
    run = StageRun(_begin(stage, params, experiment, inputs or {}))
    with store.ending(run._end):
        yield run


class StageRun:
    """An open run; its methods return normally even when nothing can be logged."""

    def __init__(self, link: _Link | None) -> None:
        self._link = link
        self._buffer: list[tuple[str, float, int, int]] = []
        self._flush_at = time.monotonic() + _FLUSH_SECONDS
        self._push_at = time.monotonic() + _PUSH_SECONDS

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers for one step; they are written in batches, every few seconds, on a busy machine less often."""
        at = store.now()
        self._buffer += [(name, float(value), at, step) for name, value in values.items()]
        if len(self._buffer) >= _FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write the buffered metrics now; what cannot be written is tried again at the next flush."""
        if self._buffer:
            self._log("logging metrics", self._write)
            self._log("server", self._send)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a copy of a file under a folder of the run's artifacts."""
        self._log(f"logging {path}", lambda link: link.client.log_artifact(link.run_id, str(path), folder))

    def dataset(self, name: str, path: Path, source: str, context: str) -> None:
        """Log a data set that the stage made or used, by the digest of its content.

        Args:
            name: what it is called.
            path: its file, or its folder with a ``meta.json``.
            source: where it came from, in words.
            context: what it is for, e.g. ``"train"``.
        """
        self._log("logging a data set", lambda link: _log_dataset(link, name, path, source, context))

    def summary(self, metrics: Mapping[str, Any]) -> None:
        """Show the final metrics on the pipeline's row: the numeric leaves of ``metrics/summary.json``.

        The row's parameters stand there since its first stage. The same metrics are written once.
        """
        final = numbers(metrics)
        self._log("logging the summary", lambda link: store.summarise(link.client, link.parent_id, final))

    def siblings(self, leaf: str) -> list[Sibling]:
        """Earlier executions in the local store that differ from this one in one numeric parameter alone."""
        found: list[Sibling] = []
        self._log("reading earlier runs", lambda link: found.extend(siblings(link.client, current().params, leaf)))
        return found

    def model(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        """Log a model that ``mlflow.pytorch.load_model`` opens without unpickling: an exported graph, on the CPU.

        Args:
            module: the model; it is logged in evaluation mode and left as it is.
            example: at least two inputs, float32 NCHW in [0, 1]; any batch size fits afterwards.
        """
        from impasto.tracking.model import log_model

        self._log("logging the model", lambda link: log_model(store.store_uri(), link.run_id, module, example))

    def _write(self, link: _Link) -> None:
        from mlflow.entities import Metric

        begun = time.monotonic()
        self._flush_at = begun + _FLUSH_SECONDS  # if it fails
        store.log(link.client, link.run_id, [Metric(*point) for point in self._buffer])
        self._buffer = []
        self._flush_at = _again(begun, _FLUSH_SECONDS)

    def _send(self, link: _Link) -> None:
        begun = time.monotonic()
        if link.server and begun >= self._push_at:
            link.server.push(link.run_id)
            self._push_at = _again(begun, _PUSH_SECONDS)

    def _end(self, status: str) -> None:
        self.flush()
        self._log("closing the run", lambda link: _close(link, status))

    def _log(self, subject: str, action: Callable[[_Link], object]) -> None:
        if self._link:
            with store.tolerated(subject, "the stage goes on without"):
                action(self._link)


def _again(begun: float, seconds: float) -> float:
    """When to do again what began at a time and has just ended: as soon as it takes no more than its share."""
    return begun + max(seconds, (time.monotonic() - begun) / _SHARE)


def _begin(stage: str, params: Mapping[str, Any], experiment: str, inputs: Mapping[str, Path]) -> _Link | None:
    if not first():  # of several processes one logs for all
        return None
    with store.tolerated("opening the MLflow store", "the stage runs untracked"):
        return _open(stage, params, experiment, inputs)
    return None


def _open(stage: str, params: Mapping[str, Any], experiment: str, inputs: Mapping[str, Path]) -> _Link:
    client, execution, tags = store.open_store(), current(), {**code_tags(), **_software_tags()}
    parent = store.parent_run(client, execution, experiment, tags)
    parent_id = str(parent.info.run_id)
    _bury(client, parent.info.experiment_id, parent_id, stage)
    client.update_run(parent_id, status="RUNNING")
    own = {"stage": stage, store.PARENT: parent_id, store.SYNC: "pending", "mlflow.source.name": f"impasto {stage}"}
    every = {**execution.tags(), **tags, **input_tags(inputs), **own}
    run = client.create_run(parent.info.experiment_id, tags=every, run_name=f"{execution.name}/{stage}")
    store.log(client, run.info.run_id, params=params)
    uri = store.server_uri()
    server = Server(uri, client) if uri else None
    if server:
        server.connect()
        server.push(run.info.run_id)
    return _Link(client, str(run.info.run_id), parent_id, execution.key, server)


def _bury(client: MlflowClient, experiment_id: str, parent_id: str, stage: str) -> None:
    """End earlier runs of the stage that died without a word: DVC runs a stage once at a time."""
    query = f"tags.`{store.PARENT}` = '{parent_id}' and tags.stage = '{stage}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id], query):
        client.set_terminated(run.info.run_id, "KILLED")


def _close(link: _Link, status: str) -> None:
    for run_id in (link.run_id, link.parent_id):
        link.client.set_tag(run_id, store.SYNC, "pending")
        link.client.set_terminated(run_id, status)
    if link.server:
        link.server.connect()
        link.server.push_execution(link.execution)


def _software_tags() -> dict[str, str]:
    tags = {"impasto.version": version("impasto"), "torch.version": version("torch")}
    if "torch" in sys.modules:  # not every stage computes, and importing torch takes seconds
        from impasto.runtime import device

        tags["device"] = str(device())
    return tags


def _log_dataset(link: _Link, name: str, path: Path, source: str, context: str) -> None:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    origin = CodeDatasetSource(tags={"source": source, "path": path.as_posix()}).to_json()
    known = Dataset(name, content_digest(path), source_type="code", source=origin)
    link.client.log_inputs(link.run_id, [DatasetInput(known, [InputTag("mlflow.data.context", context)])])
