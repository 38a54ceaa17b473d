"""Experiments that differ from this one in a single parameter: what a report can set beside its own run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from impasto.config.base import flatten
from impasto.tracking import store
from impasto.tracking.execution import as_text

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Sibling(NamedTuple):
    """Another finished execution of the pipeline."""

    value: float
    """Its value of the parameter that differs."""
    metrics: Mapping[str, float]
    """Its final metrics, as in ``metrics/summary.json``."""


def siblings(client: MlflowClient, params: Mapping[str, Any], leaf: str) -> list[Sibling]:
    """Executions whose parameters are these ones but for ``leaf``, by its value; of several with one value the latest.

    Those in which it follows a schedule have no one value and are left out.

    Args:
        client: the local store.
        params: the values of ``params.yaml``, nested.
        leaf: the name of a numeric parameter, e.g. ``"lambda_s"``.
    """
    own = {name: as_text(value) for name, value in flatten(params)}
    asked, found = own.pop(leaf), {}
    for run in store.search(client, "tags.stage = 'pipeline'"):
        theirs = dict(run.data.params)
        value = theirs.pop(leaf, asked)
        if value != asked and theirs == own and store.SUMMARY in run.data.tags and not value.startswith("{"):
            found[float(value)] = run.data.metrics
    return [Sibling(value, found[value]) for value in sorted(found)]
