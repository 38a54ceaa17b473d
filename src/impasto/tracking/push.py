"""From the local store to a shared MLflow server: again and again if need be, never twice.

Every run has one twin on the server, found by a tag that names the local run. Parameters and
artifacts that the twin has are left out, and the server itself drops metric points that it has.
"""

from __future__ import annotations

import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from impasto.errors import ImpastoError
from impasto.tracking import store
from impasto.tracking.store import PARENT, SYNC

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TWIN = "impasto.local_run_id"
MODEL_TWIN = "impasto.local_model_id"
_PROBE_SECONDS = 1.5


class Counts(NamedTuple):
    """What :func:`sync` did."""

    sent: int
    failed: int


class Server:
    """The server of MLFLOW_TRACKING_URI as one stage sees it: asked while it answers, then left alone.

    Args:
        uri: its address, ``http://`` or ``https://``.
        local: the local store, from which runs are pushed.
    """

    def __init__(self, uri: str, local: MlflowClient) -> None:
        self.uri = uri
        self._local = local
        self._remote: MlflowClient | None = None
        self._since = 0

    def connect(self) -> None:
        """Ask the server whether it is there; a dead one costs 1.5 seconds and a warning."""
        self._remote = store.connect(self.uri) if answers(self.uri) else None
        if self._remote is None:
            store.warn_once("server", f"{public(self.uri)} does not answer; {_KEPT}")

    def push(self, run_id: str) -> None:
        """Push what an unfinished run has logged since the last push."""
        begun = store.now()
        self._push([run_id], self._since)
        self._since = begun

    def push_execution(self, key: str) -> None:
        """Push every run of an execution that the server does not have in full, earlier stages included."""
        pending = store.search(self._local, f"{_lacking(self.uri)} and tags.`impasto.execution` = '{key}'")
        self._push([run.info.run_id for run in pending])

    def _push(self, run_ids: list[str], since: int = 0) -> None:
        """Push runs; a failure is warned of once, and nothing more is tried until the next connect."""
        remote, self._remote = self._remote, None
        if remote is not None:
            with store.tolerated("server", _KEPT):
                for run_id in run_ids:
                    push(self._local, remote, self.uri, run_id, since)
                self._remote = remote


@store.mendable()
def sync(uri: str) -> Counts:
    """Send every local run that a server does not have in full.

    Args:
        uri: the server, or any other MLflow store.

    Returns:
        How many runs it took, and how many it refused.

    Raises:
        ImpastoError: there is no server at the address, or it is the local store itself,
            or the local store cannot be opened.
    """
    if uri == store.store_uri():
        raise ImpastoError(
            f"{public(uri)} is the local store itself", where="MLFLOW_TRACKING_URI", remedy="Name a server to send to."
        )
    if store.is_server(uri) and not answers(uri):
        raise ImpastoError(
            f"{public(uri)} does not answer", where="MLFLOW_TRACKING_URI", remedy="Start the server, then sync again."
        )
    local, remote, sent = store.open_store(), store.connect(uri), 0
    runs = store.search(local, _lacking(uri))
    for run in runs:
        with store.tolerated(f"sending run {run.info.run_id}", "it stays pending"):
            push(local, remote, uri, run.info.run_id)
            sent += 1
    return Counts(sent, len(runs) - sent)


def push(local: MlflowClient, remote: MlflowClient, uri: str, run_id: str, since: int = 0) -> None:
    """Make the twin of a local run equal to it; a finished run then counts as sent to ``uri``.

    Args:
        local: the local store.
        remote: a client of ``uri``.
        uri: the server.
        run_id: the local run.
        since: metric points before this time, milliseconds since 1970, are there already.
    """
    run = local.get_run(run_id)
    with store.locked():  # two processes would create two twins
        twin = remote.get_run(_twin(local, remote, run))
    there = twin.info.run_id
    fresh = {name: value for name, value in run.data.params.items() if name not in twin.data.params}
    points = [point for name in run.data.metrics for point in local.get_metric_history(run_id, name)]
    store.log(remote, there, [point for point in points if point.timestamp >= since], fresh)
    for name, value in _tags(run).items():
        if twin.data.tags.get(name) != value and name != PARENT:
            remote.set_tag(there, name, value)
    if run.inputs:
        remote.log_inputs(there, run.inputs.dataset_inputs)
    _push_artifacts(local, remote, run_id, there)
    _push_models(local, remote, run, twin)
    if run.info.status == "RUNNING":
        remote.update_run(there, status="RUNNING")
    else:
        remote.set_terminated(there, run.info.status, run.info.end_time)
        local.set_tag(run_id, SYNC, public(uri))


def answers(uri: str) -> bool:
    """Whether anything speaks HTTP at an address, within 1.5 seconds, the look-up of its name included."""
    found = threading.Event()

    def ask() -> None:
        with suppress(OSError, ValueError):
            try:
                urllib.request.urlopen(f"{public(uri).rstrip('/')}/health", timeout=_PROBE_SECONDS).close()
            except HTTPError as error:
                if error.code >= 500:  # a gateway whose server is down
                    return
            found.set()

    thread = threading.Thread(target=ask, daemon=True)  # a name look-up obeys no timeout
    thread.start()
    thread.join(_PROBE_SECONDS)
    return found.is_set()


def public(uri: str) -> str:
    """The address without the user's name and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


_KEPT = "runs are kept locally, `impasto track sync` sends them later"


def _lacking(uri: str) -> str:
    return f"tags.`{SYNC}` != '{public(uri)}'"


def _twin(local: MlflowClient, remote: MlflowClient, run: Run) -> str:
    """The id of a run's twin, created with its parent's if it is not there yet."""
    home = store.experiment_id(remote, local.get_experiment(run.info.experiment_id).name)
    if found := remote.search_runs([home], f"tags.`{TWIN}` = '{run.info.run_id}'", max_results=1):
        return str(found[0].info.run_id)
    tags = _tags(run)
    if PARENT in tags:
        tags[PARENT] = _twin(local, remote, local.get_run(tags[PARENT]))
    created = remote.create_run(home, run.info.start_time, tags, run.info.run_name)
    return str(created.info.run_id)


def _tags(run: Run) -> dict[str, str]:
    return {name: value for name, value in run.data.tags.items() if name != SYNC} | {TWIN: run.info.run_id}


def _push_artifacts(local: MlflowClient, remote: MlflowClient, run_id: str, there: str, folder: str = "") -> None:
    sizes = {item.path: item.file_size for item in remote.list_artifacts(there, folder or None)}
    for item in local.list_artifacts(run_id, folder or None):
        if item.is_dir:
            _push_artifacts(local, remote, run_id, there, item.path)
        elif sizes.get(item.path) != item.file_size:
            remote.log_artifact(there, local.download_artifacts(run_id, item.path), folder or None)


def _push_models(local: MlflowClient, remote: MlflowClient, run: Run, twin: Run) -> None:
    """Push logged models, which MLflow 3 keeps beside the run's artifacts and not among them."""
    if not run.outputs or not run.outputs.model_outputs:
        return
    from mlflow.artifacts import download_artifacts
    from mlflow.entities import LoggedModelOutput

    home, there = twin.info.experiment_id, twin.info.run_id
    models = remote.search_logged_models([home], f"source_run_id = '{there}'")
    known = {model.tags.get(MODEL_TWIN): model for model in models}
    linked = {output.model_id for output in twin.outputs.model_outputs} if twin.outputs else set()
    for output in run.outputs.model_outputs:
        model = local.get_logged_model(output.model_id)
        copy = known.get(model.model_id)
        if model.status != "READY" or (copy and copy.status == "READY"):
            continue
        if not copy:  # else it was begun, and the connection lost
            tags = model.tags | {MODEL_TWIN: model.model_id}
            copy = remote.create_logged_model(home, model.name, there, tags, model.params, model.model_type)
        remote.log_model_artifacts(copy.model_id, download_artifacts(artifact_uri=model.artifact_location))
        if copy.model_id not in linked:
            remote.log_outputs(there, [LoggedModelOutput(copy.model_id, output.step)])
        remote.finalize_logged_model(copy.model_id, "READY")  # last: what is not ready is sent again
