"""The local MLflow store: opening it safely, and the parent run of an execution.

It sits in the main workspace (``mlflow.db``, ``mlartifacts/``), where temporary and queued DVC
experiments log too; a store in the current folder would vanish with their copies.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from impasto.config.base import flatten
from impasto.errors import ImpastoError
from impasto.io import digest
from impasto.tracking.execution import Execution, as_text
from impasto.workspace import main_root

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

PARENT = "mlflow.parentRunId"
SYNC = "impasto.sync"  # the server that has the whole run, or "pending"
SUMMARY = "impasto.summary"  # digest of the final metrics that the parent's row shows
_LOCK_SECONDS = 120.0  # a first opening writes the whole schema: 2-10 s
_BATCH = 1000  # the most metrics, and
_PARAMS = 100  # the most parameters that MLflow takes at once
_PAGE = 200
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
_warned: set[str] = set()


def store_uri() -> str:
    """Where runs are logged first: MLFLOW_TRACKING_URI unless it is a server, else ``mlflow.db``."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return uri if uri and not is_server(uri) else f"sqlite:///{main_root() / 'mlflow.db'}"


def server_uri() -> str | None:
    """The shared server of MLFLOW_TRACKING_URI, to which local runs are pushed, if there is one."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return uri if is_server(uri) else None


def is_server(uri: str) -> bool:
    """Whether the address is that of a server, which may fail to answer."""
    return uri.startswith(("http://", "https://"))


def connect(uri: str) -> MlflowClient:
    """A client of one store, which neither reads nor changes MLflow's process-wide address."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from sqlalchemy.exc import SADeprecationWarning

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # "Creating initial tables"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)  # MLflow 3.17 with SQLAlchemy 2.1
        return MlflowClient(tracking_uri=uri)


def open_store() -> MlflowClient:
    """Open the local store, creating it on first use; one process at a time, or its schema breaks for good."""
    with locked():
        return connect(store_uri())


def locked() -> BaseFileLock:
    """The lock for what two processes must not create at once; raises TimeoutError. Not reentrant."""
    from filelock import FileLock

    return FileLock(main_root() / ".mlflow.lock", timeout=_LOCK_SECONDS)


def experiment_id(client: MlflowClient, name: str, artifacts: str | None = None) -> str:
    """The id of an experiment, created when it is not there yet."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name, artifact_location=artifacts))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # someone else has just created it
            return str(found.experiment_id)
        raise


def parent_run(
    client: MlflowClient, execution: Execution, experiment: str, tags: Mapping[str, str], started: int | None = None
) -> Run:
    """The execution's parent run; created with every parameter of params.yaml when it is not there yet.

    Args:
        client: the local store.
        execution: what the run stands for.
        experiment: the name of the MLflow experiment.
        tags: more tags, for a new run only.
        started: milliseconds since 1970 at which a new run began; None is now.
    """
    artifacts = (main_root() / "mlartifacts").as_uri() if store_uri().startswith("sqlite") else None
    with locked():
        home = experiment_id(client, experiment, artifacts)
        query = f"tags.`impasto.execution` = '{execution.key}' and tags.stage = 'pipeline'"
        if found := client.search_runs([home], query, max_results=1):
            return found[0]
        every = {**execution.tags(), **tags, "stage": "pipeline", SYNC: "pending"}
        run = client.create_run(home, start_time=started, tags=every, run_name=execution.name)
        log(client, run.info.run_id, params=execution.params)
    return run


def summarise(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> bool:
    """Write final metrics on a parent run unless it shows them already; returns whether it wrote."""
    from mlflow.entities import Metric

    shown = digest(metrics)
    if client.get_run(run_id).data.tags.get(SUMMARY) == shown:
        return False
    log(client, run_id, [Metric(name, value, now(), 0) for name, value in metrics.items()])
    client.set_tag(run_id, SUMMARY, shown)
    client.set_tag(run_id, SYNC, "pending")
    return True


def search(client: MlflowClient, query: str) -> list[Run]:
    """Every run of every experiment that a query matches, oldest first."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiments, query, max_results=_PAGE, order_by=["start_time"], page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def log(
    client: MlflowClient, run_id: str, metrics: Sequence[Metric] = (), params: Mapping[str, Any] | None = None
) -> None:
    """Log any number of metrics and (nested) parameters in as few calls as MLflow allows."""
    from mlflow.entities import Param

    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
    pairs = [Param(name, as_text(value)) for name, value in flatten(params or {})]
    for start in range(0, len(pairs), _PARAMS):
        client.log_batch(run_id, params=pairs[start : start + _PARAMS])


def now() -> int:
    """Milliseconds since 1970, MLflow's unit of time."""
    return int(time.time() * 1000)


@contextmanager
def tolerated(subject: str, consequence: str) -> Iterator[None]:
    """Let a failure of tracking pass with one warning per process: a stage's result is worth more than its log."""
    try:
        yield
    except _failures() as error:
        warn_once(subject, f"{subject} failed ({_first_line(error)}); {consequence}")


@contextmanager
def ending(end: Callable[[str], None]) -> Iterator[None]:
    """Tell ``end`` how what is tracked has ended: FINISHED, KILLED when it is interrupted, or FAILED."""
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        end(status)


@contextmanager
def mendable() -> Iterator[None]:
    """Turn a failure of tracking into one that the user can mend: for commands that do nothing else."""
    try:
        yield
    except _failures() as error:
        raise ImpastoError(
            f"MLflow failed: {_first_line(error)}",
            where=store_uri(),
            remedy="Move a broken mlflow.db away: `impasto track record` makes the rows anew from DVC's experiments.",
        ) from error


def warn_once(subject: str, message: str) -> None:
    """One line on standard error, once per process and subject."""
    if subject not in _warned:
        _warned.add(subject)
        print(f"impasto: {message}", file=sys.stderr)


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def _failures() -> tuple[type[Exception], ...]:
    """What MLflow, its database and the network raise; requests' errors and lock timeouts are OSErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, CommandError, OSError
