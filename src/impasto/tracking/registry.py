"""MLflow's registry: a trained and evaluated model under a name and an alias, with what one must know to use it."""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from impasto.errors import ImpastoError
from impasto.io import digest
from impasto.tracking import store
from impasto.tracking.experiments import workspace_run
from impasto.tracking.push import MODEL_TWIN, TWIN, public, sync

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

CARD = "model_card.md"
_CONTENT = "impasto.model"  # digest of weights, classes and card
_LONGEST = 5000  # characters of a description, in MLflow's tables
_MATTER = re.compile(r"\A\s*---\n.*?\n---\n", re.DOTALL)


class Candidate(NamedTuple):
    """A model that may be registered."""

    module: torch.nn.Module
    """Float32 images [N, 3, size, size] in [0, 1] to logits [N, classes]."""
    example: torch.Tensor
    """Two images that show no picture of the data: they are kept with the model."""
    classes: tuple[str, ...]
    card: str
    """What the report says of it, Markdown."""
    weights: str
    """A digest of the module's weights."""

    @property
    def content(self) -> str:
        return digest(self.weights, self.classes, self.card)


@store.mendable()
def register(candidate: Candidate, name: str, alias: str, server: str | None = None) -> ModelVersion:
    """Register a model of the workspace's run and point an alias to it; the same model becomes no second version.

    It is logged in the local store, to the row of the run, and from there sent to the server.

    Args:
        candidate: the model.
        name: under which it is registered.
        alias: what is to stand for this version from now on.
        server: whose registry it enters; None is that of the local store.

    Raises:
        ImpastoError: the name or the alias is none, the pipeline has not been run to its end, or the server does not
            answer or has refused the run.
    """
    _require_names(name, alias)
    run, client = workspace_run(), store.open_store()
    model = _logged(client, run, candidate.content) or _log(client, run, candidate)
    registry, there = client, model
    if server:
        sync(server)
        registry = store.connect(server)
        there = _sent(registry, run, model, server)
    found = _version(registry, name, there, candidate)
    registry.set_registered_model_alias(name, alias, found.version)
    return found


def describe(card: str, classes: tuple[str, ...]) -> str:
    """The card without the metadata at its head, cut to what MLflow can keep; the whole one is a file of the model."""
    text = _MATTER.sub("", card).strip()
    if len(text) <= _LONGEST:
        return text
    end = f"\n\nThe whole card, and the names of all {len(classes)} classes, are files of the model."
    return text[: _LONGEST - len(end)].rpartition("\n")[0] + end


def _require_names(name: str, alias: str) -> None:
    if not re.fullmatch(r"[^/:]+", name):
        raise ImpastoError(f"{name!r} cannot name a model", where="--name", remedy="Use no / and no colon.")
    if not re.fullmatch(r"[A-Za-z][\w-]*", alias) or re.fullmatch(r"[vV]\d+|latest", alias, re.IGNORECASE):
        remedy = "Use letters, digits, _ and -, and neither v1 nor latest, which MLflow keeps for itself."
        raise ImpastoError(f"{alias!r} cannot be an alias", where="--alias", remedy=remedy)


def _logged(client: MlflowClient, run: Run, content: str) -> LoggedModel | None:
    """The model with this content that the row has already."""
    outputs = run.outputs.model_outputs if run.outputs else []
    models = [client.get_logged_model(output.model_id) for output in outputs]
    return next((model for model in models if model.status == "READY" and model.tags.get(_CONTENT) == content), None)


def _log(client: MlflowClient, run: Run, candidate: Candidate) -> LoggedModel:
    """Log a model to the row as an exported graph, with its card, beside the models of stages."""
    from mlflow.entities import LoggedModelOutput

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        _write(path, candidate)
        tags = {_CONTENT: candidate.content}
        model = client.create_logged_model(run.info.experiment_id, "classifier", run.info.run_id, tags)
        client.log_model_artifacts(model.model_id, str(path))
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    client.set_tag(run.info.run_id, store.SYNC, "pending")
    return client.finalize_logged_model(model.model_id, "READY")


def _write(path: Path, candidate: Candidate) -> None:
    import mlflow.pytorch
    from mlflow.exceptions import MlflowException

    from impasto.tracking.model import exported

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's and the exporter's, about their own code
            metadata = {"classes": list(candidate.classes)}
            mlflow.pytorch.save_model(path=path, metadata=metadata, **exported(candidate.module, candidate.example))
    except (RuntimeError, ValueError) as error:  # what torch.export raises for a model that it cannot trace
        raise MlflowException(f"the model cannot be exported: {error}") from error
    (path / CARD).write_text(candidate.card, encoding="utf-8")


def _sent(remote: MlflowClient, run: Run, model: LoggedModel, server: str) -> LoggedModel:
    """The twin of a model on a server to which everything was sent."""
    homes = [experiment.experiment_id for experiment in remote.search_experiments()]
    for twin in remote.search_runs(homes, f"tags.`{TWIN}` = '{run.info.run_id}'"):
        for found in remote.search_logged_models(homes, f"source_run_id = '{twin.info.run_id}'"):
            if found.tags.get(MODEL_TWIN) == model.model_id and found.status == "READY":
                return found
    what = f"{public(server)} has refused the run, for the reason above"
    raise ImpastoError(what, where="MLFLOW_TRACKING_URI", remedy="Mend the server, then register again.")


def _version(registry: MlflowClient, name: str, model: LoggedModel, candidate: Candidate) -> ModelVersion:
    """The version of a logged model, made if there is none."""
    if not registry.search_registered_models(f"name = '{name}'"):
        registry.create_registered_model(name, description="Made by impasto; each version is described by its card.")
    for version in registry.search_model_versions(f"name = '{name}'"):
        if version.tags.get(_CONTENT) == candidate.content:
            return version
    told = {"input": "float32 [N, 3, H, W], RGB in [0, 1]", "output": "logits [N, classes]"}
    return registry.create_model_version(
        name,
        source=model.artifact_location,
        run_id=model.source_run_id,
        model_id=model.model_id,
        tags=told | {_CONTENT: candidate.content},
        description=describe(candidate.card, candidate.classes),
        await_creation_for=0,  # it is there at once; MLflow would say that it waits
    )
