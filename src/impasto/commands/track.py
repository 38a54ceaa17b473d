"""Bring the MLflow stores up to date."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from impasto.errors import ImpastoError
from impasto.report.wording import plural
from impasto.stages.command import command
from impasto.tracking.experiments import record_experiments
from impasto.tracking.push import public, sync
from impasto.tracking.store import is_server


@command
def track(
    action: Annotated[
        str, typer.Argument(help="record: add rows of experiments that ran no stage; sync: that, then send.")
    ],
    uri: Annotated[str, typer.Option(help="The MLflow server; default: MLFLOW_TRACKING_URI.")] = "",
) -> None:
    """Add a row for every experiment that DVC restored from its cache, and send local runs to a server."""
    if action not in {"record", "sync"}:
        raise ImpastoError(f"unknown action {action!r}", where="impasto track", remedy="Use record or sync.")
    print(f"{plural(record_experiments(), 'row')} added for experiments that ran no stage")
    if action == "sync":
        server = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not is_server(server):
            told = f"{public(server)!r} is no http address" if server else "no server is named"
            raise ImpastoError(told, where="MLFLOW_TRACKING_URI", remedy="Set it or pass --uri http://HOST:PORT.")
        sent, failed = sync(server)
        print(f"{sent} runs sent to {public(server)}, {failed} refused")
