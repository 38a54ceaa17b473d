"""Logging a PyTorch model with MLflow, as an exported graph."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def log_model(uri: str, run_id: str, module: torch.nn.Module, example: torch.Tensor) -> None:
    """Log a model to a run of the store ``uri``; the import behind it takes seconds.

    The format is ``torch.export``'s: it needs neither this package nor pickle to load, and its batch
    dimension is free because the example holds two images.

    Raises:
        MlflowException: the store fails, or the model cannot be exported.
    """
    import mlflow.pytorch
    from mlflow.exceptions import MlflowException

    try:
        with warnings.catch_warnings(), _current_store(uri), mlflow.start_run(run_id=run_id):
            warnings.simplefilter("ignore")  # MLflow's and the exporter's, about their own code
            mlflow.pytorch.log_model(name="model", **exported(module, example))
    except (RuntimeError, ValueError) as error:  # what torch.export raises for a model that it cannot trace
        raise MlflowException(f"the model cannot be exported: {error}") from error


def exported(module: torch.nn.Module, example: torch.Tensor) -> dict[str, Any]:
    """What MLflow's functions for PyTorch are told of a model, so that it is written as an exported graph.

    Args:
        module: the model; a copy of it on the CPU, in evaluation mode, is written.
        example: at least two inputs.
    """
    import torch
    from mlflow.models import infer_signature

    twin, inputs = copy.deepcopy(module).cpu().eval(), example[:2].detach().cpu().contiguous()
    with torch.no_grad():
        signature = infer_signature(inputs.numpy(), twin(inputs).numpy())
    return {
        "pytorch_model": twin,
        "serialization_format": "pt2",
        "signature": signature,
        "input_example": inputs.numpy(),
        "pip_requirements": [f"torch=={version('torch')}"],
    }


@contextmanager
def _current_store(uri: str) -> Iterator[None]:
    """Point MLflow's process-wide address, which it mirrors in the environment, to one store for a while."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # back to the environment's, which it unsets
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before
