"""What a search logs: a run for the search, and nested in it one for each trial; locally, and then on the server.

The driver logs for all trials, so that workers need neither MLflow nor a way to it. A search that goes on after a kill
finds its runs again and adds what they lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from impasto.tracking import store
from impasto.tracking.execution import code_tags, input_tags
from impasto.tracking.push import Server
from impasto.workspace import main_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

_GOES_ON = "the search goes on without"
_KEY, _TRIAL = "impasto.execution", "impasto.trial"


class _Link(NamedTuple):
    client: MlflowClient
    experiment: str
    run_id: str
    key: str
    server: Server | None


class _Child(NamedTuple):
    """A trial's run: the epochs that it has, and after how many epochs it has final numbers."""

    run_id: str
    epochs: set[int]
    finals: set[int]


@contextmanager
def search_run(key: str, experiment: str, params: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterator[SearchRun]:
    """Log a search, run in the folder that holds params.yaml; nothing that fails in MLflow reaches it.

    Args:
        key: digest of the search; the runs of an earlier call with the same one are taken up.
        experiment: the MLflow experiment.
        params: the parameters with which it begins, nested or flat.
        inputs: what its trials read, by name; logged as digests.
    """
    run = SearchRun(_begin(key, experiment, params, inputs))
    with store.ending(run._end):
        yield run


class SearchRun:
    """An open search; its methods return normally even when nothing can be logged."""

    def __init__(self, link: _Link | None) -> None:
        self._link = link
        self._known: dict[str, _Child] = {}

    def trial(
        self,
        name: str,
        params: Mapping[str, Any],
        rows: Sequence[Mapping[str, float]],
        final: Mapping[str, float],
        status: str | None,
        first: int = 0,
    ) -> None:
        """Log what a trial has come to: the epochs that its run lacks, and its final numbers so far.

        Args:
            name: of the trial, unique in the search.
            params: flat.
            rows: of all epochs so far.
            final: objective and its parts.
            status: FINISHED, FAILED or KILLED ends the run; None leaves it open.
            first: rows before this one are another trial's.
        """
        self._log(f"logging trial {name}", lambda link: self._write(link, name, params, rows, final, status, first))

    def artifact(self, path: Path) -> None:
        """Log a copy of a file with the search."""
        self._log(f"logging {path}", lambda link: link.client.log_artifact(link.run_id, str(path)))

    def summary(self, metrics: Mapping[str, float]) -> None:
        """Log final numbers of the search."""
        self._log("logging the summary", lambda link: _metrics(link.client, link.run_id, [(0, metrics)]))

    def _write(
        self,
        link: _Link,
        name: str,
        params: Mapping[str, Any],
        rows: Sequence[Mapping[str, float]],
        final: Mapping[str, float],
        status: str | None,
        first: int,
    ) -> None:
        if name not in self._known:
            self._known[name] = _child(link, name, params)
        run_id, there, finals = self._known[name]
        fresh = [(epoch, row) for epoch, row in enumerate(rows) if epoch >= first and epoch not in there]
        last = [(len(rows), final)] if final and len(rows) not in finals else []
        _metrics(link.client, run_id, [*fresh, *last])
        there.update(epoch for epoch, _ in fresh)
        finals.update(step for step, _ in last)
        if status:
            link.client.set_terminated(run_id, status)
            if link.server:
                link.server.push_execution(link.key)

    def _end(self, status: str) -> None:
        self._log("closing the search", lambda link: _close(link, status))

    def _log(self, subject: str, action: Callable[[_Link], object]) -> None:
        if self._link:
            with store.tolerated(subject, _GOES_ON):
                action(self._link)


def _begin(key: str, experiment: str, params: Mapping[str, Any], inputs: Mapping[str, Path]) -> _Link | None:
    with store.tolerated("opening the MLflow store", "the search runs untracked"):
        client = store.open_store()
        artifacts = (main_root() / "mlartifacts").as_uri() if store.store_uri().startswith("sqlite") else None
        with store.locked():
            home = store.experiment_id(client, experiment, artifacts)
        own = {"stage": "tune", _KEY: key, store.SYNC: "pending", "mlflow.source.name": "impasto tune"}
        found = client.search_runs([home], f"tags.`{_KEY}` = '{key}' and tags.stage = 'tune'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            client.update_run(run_id, status="RUNNING")
            client.set_tag(run_id, store.SYNC, "pending")
        else:
            tags = {**own, **code_tags(), **input_tags(inputs)}
            run_id = str(client.create_run(home, tags=tags, run_name=f"tune-{key[:8]}").info.run_id)
            store.log(client, run_id, params=params)
        uri = store.server_uri()
        server = Server(uri, client) if uri else None
        if server:
            server.connect()
        return _Link(client, home, run_id, key, server)
    return None


def _child(link: _Link, name: str, params: Mapping[str, Any]) -> _Child:
    """The run of a trial, made if it is not there."""
    query = f"tags.`{store.PARENT}` = '{link.run_id}' and tags.`{_TRIAL}` = '{name}'"
    if found := link.client.search_runs([link.experiment], query, max_results=1):
        run_id = str(found[0].info.run_id)
        link.client.update_run(run_id, status="RUNNING")
        link.client.set_tag(run_id, store.SYNC, "pending")
        histories = (link.client.get_metric_history(run_id, metric) for metric in ("loss", "objective"))
        return _Child(run_id, *({point.step for point in points} for points in histories))
    tags = {"stage": "trial", _TRIAL: name, store.PARENT: link.run_id, _KEY: link.key, store.SYNC: "pending"}
    run = link.client.create_run(link.experiment, tags=tags, run_name=name)
    store.log(link.client, run.info.run_id, params=params)
    return _Child(str(run.info.run_id), set(), set())


def _metrics(client: MlflowClient, run_id: str, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    from mlflow.entities import Metric

    at = store.now()
    store.log(
        client, run_id, [Metric(name, float(value), at, step) for step, row in rows for name, value in row.items()]
    )


def _close(link: _Link, status: str) -> None:
    link.client.set_tag(link.run_id, store.SYNC, "pending")
    link.client.set_terminated(link.run_id, status)
    if link.server:
        link.server.connect()
        link.server.push_execution(link.key)
