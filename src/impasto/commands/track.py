"""Bring the MLflow stores up to date, and register what was trained."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.config.base import load, read_yaml
from impasto.errors import ImpastoError
from impasto.report.wording import plural
from impasto.stages.command import PARAMS, command
from impasto.tracking.execution import experiment_name
from impasto.tracking.experiments import record_experiments
from impasto.tracking.push import public, sync
from impasto.tracking.registry import CARD, register
from impasto.tracking.store import is_server, store_uri

if TYPE_CHECKING:
    from impasto.tracking.registry import Candidate

ACTIONS = ("record", "sync", "register")
TUNED, REPORT = Path("models/tuned"), Path("report")


@command
def track(
    action: Annotated[
        str,
        typer.Argument(
            help="record: add rows of experiments that ran no stage; sync: that, then send; register: both, and enter "
            "the model in the registry."
        ),
    ],
    uri: Annotated[str, typer.Option(help="The MLflow server; default: MLFLOW_TRACKING_URI.")] = "",
    alias: Annotated[str, typer.Option(help="What stands for the registered version, e.g. champion.")] = "candidate",
    name: Annotated[str, typer.Option(help="Under which it is registered; default: impasto-DATASET.")] = "",
) -> None:
    """Add a row for every experiment that DVC restored from its cache; send local runs, or a model, to a server."""
    if action not in ACTIONS:
        known = f"{', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}"
        raise ImpastoError(f"unknown action {action!r}", where="impasto track", remedy=f"Use {known}.")
    server = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if action == "register":
        _register(server if is_server(server) else "", name, alias)
        return
    print(f"{plural(record_experiments(), 'row')} added for experiments that ran no stage")
    if action == "sync":
        if not is_server(server):
            told = f"{public(server)!r} is no http address" if server else "no server is named"
            raise ImpastoError(told, where="MLFLOW_TRACKING_URI", remedy="Set it or pass --uri http://HOST:PORT.")
        sent, failed = sync(server)
        print(f"{sent} runs sent to {public(server)}, {failed} refused")


def _register(server: str, name: str, alias: str) -> None:
    name = name or re.sub(r"[^\w.-]+", "-", experiment_name(read_yaml(PARAMS)))
    found = register(_candidate(), name, alias, server or None)
    where = public(server) if server else store_uri()
    print(f"{name}, version {found.version}, is {alias} in {where}: models:/{name}@{alias}")


def _candidate() -> Candidate:
    """The fine-tuned model of the first seed, as evaluated and described by the report."""
    import torch

    from impasto.config.dataset import Dataset
    from impasto.config.seed import Seeds
    from impasto.io import digest
    from impasto.locked import require_recorded
    from impasto.models.saved import load_model
    from impasto.rng import generator
    from impasto.tracking.registry import Candidate

    for path in (TUNED, REPORT):
        require_recorded(path)
    folder, size = TUNED / str(load(PARAMS, Seeds).seeds[0]), load(PARAMS, Dataset).size
    model, _, classes = load_model(folder, torch.device("cpu"))
    example = torch.rand((2, 3, size, size), generator=generator(0, "example"))
    card = (REPORT / CARD).read_text(encoding="utf-8")
    return Candidate(model, example, classes, card, digest(folder))
