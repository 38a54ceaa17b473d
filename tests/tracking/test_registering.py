"""A model in the registry: once, under its alias, with signature, example, card and the names of the classes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import typer
from finished import CLASSES, SIZE, finish
from tracking_repo import parents

from impasto.commands.track import track
from impasto.errors import ImpastoError
from impasto.locked import dvc_md5, require_recorded
from impasto.tracking import registry, store
from impasto.tracking.registry import Candidate, describe, register

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NAME = "impasto-digits"


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported graph takes seconds; what is registered otherwise does not depend on it."""

    def write(path: Path, candidate: Candidate) -> None:
        path.mkdir()
        (path / "MLmodel").write_text(candidate.weights)

    monkeypatch.setattr(registry, "_write", write)


def candidate(weights: str = "a", card: str = "# A card") -> Candidate:
    return Candidate(torch.nn.Flatten(), torch.zeros(2, 3, 4, 4), CLASSES, card, weights)


def folder(version: ModelVersion) -> Path:
    """Where the files of a version in the local store are."""
    return Path(str(version.source).removeprefix("file://"))


@pytest.mark.usefixtures("unwritten")
def test_the_same_model_is_registered_once_and_an_alias_moves(repo: Path, client: MlflowClient) -> None:
    finish(repo)
    first = register(candidate(), NAME, "champion")
    assert register(candidate(), NAME, "candidate").version == first.version
    second = register(candidate(weights="b"), NAME, "champion")
    assert (int(first.version), int(second.version)) == (1, 2)
    assert int(client.get_model_version_by_alias(NAME, "champion").version) == 2
    assert int(client.get_model_version_by_alias(NAME, "candidate").version) == 1
    assert register(candidate(), NAME, "champion").version == first.version, "and back, as after a bad one"
    (row,) = parents(client)
    assert first.run_id == row.info.run_id and row.outputs and len(row.outputs.model_outputs) == 2
    assert row.data.tags[store.SYNC] == "pending", "the next sync sends the models"
    assert first.description == "# A card"
    assert (folder(first) / "MLmodel").read_text() == "a"


@pytest.mark.usefixtures("unwritten")
def test_another_card_is_another_version(repo: Path, client: MlflowClient) -> None:
    finish(repo)
    assert register(candidate(), NAME, "a").version != register(candidate(card="# Another"), NAME, "a").version


@pytest.mark.parametrize("alias", ["", "v2", "latest", "a b", "7"])
def test_names_that_mlflow_keeps_for_itself(repo: Path, alias: str) -> None:
    with pytest.raises(ImpastoError, match="alias"):
        register(candidate(), NAME, alias)
    with pytest.raises(ImpastoError, match="cannot name a model"):
        register(candidate(), "a/b", "champion")


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("damage", ["models/tuned/0/model.safetensors", "metrics/summary.json", "report/model_card.md"])
def test_only_what_was_evaluated_is_registered(
    repo: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    finish(repo)
    whole = (repo / damage).read_bytes()
    (repo / damage).write_bytes(whole + b" ")
    with pytest.raises(typer.Exit) as caught:
        track("register", alias="champion")
    said = capsys.readouterr().err
    assert caught.value.exit_code == 2 and said.count("\n") == 1
    assert "is not what" in said and damage.rpartition("/")[0].replace("/0", "") in said
    assert not client.search_registered_models()
    (repo / damage).write_bytes(whole)
    track("register", alias="champion")
    assert f"models:/{NAME}@champion" in capsys.readouterr().out


def test_what_was_never_run_is_told(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        track("register")
    assert "models/tuned does not exist" in capsys.readouterr().err
    with pytest.raises(ImpastoError, match="Run `dvc repro` to its end"):
        register(candidate(), NAME, "champion")


def test_a_long_card_is_cut_at_a_line() -> None:
    card = "---\na: b\n---\n# Title\n" + "a line of text\n" * 1000
    told = describe(card, CLASSES)
    assert told.startswith("# Title\na line") and "a: b" not in told
    body, _, end = told.rpartition("\n\n")
    assert 4900 < len(told) <= 5000 and "3 classes" in end and set(body.splitlines()[1:]) == {"a line of text"}
    assert describe("# Short\n---\nof\n---\n", CLASSES) == "# Short\n---\nof\n---"


def test_an_output_that_no_stage_recorded(repo: Path) -> None:
    finish(repo)
    require_recorded(Path("report"))
    with pytest.raises(ImpastoError, match=r"params\.yaml is not what dvc\.lock records"):
        require_recorded(Path("params.yaml"))
    assert dvc_md5(Path("metrics/summary.json")) != dvc_md5(Path("report"))


def test_a_folder_has_the_digest_that_dvc_gives_it(tmp_path: Path) -> None:
    """Told by `dvc add`."""
    (tmp_path / "tree" / "a").mkdir(parents=True)
    for name in ("a.b", "a/z", "a-b", "B", "a/é"):
        (tmp_path / "tree" / name).write_text(name)
    assert dvc_md5(tmp_path / "tree") == "034358a9d9136f4842bed2691be71c42.dir"


@pytest.mark.slow
def test_what_is_registered_can_be_read_without_pickle(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about types of its own
        import mlflow.pyfunc
    from mlflow.models import get_model_info

    made = finish(repo)
    track("register", alias="champion")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(store.store_uri())
    try:
        uri = f"models:/{NAME}@champion"
        info, served = get_model_info(uri), mlflow.pyfunc.load_model(uri)
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert info.metadata == {"classes": list(CLASSES)}
    assert [(spec.type.name, spec.shape) for spec in info.signature.inputs] == [("float32", (-1, 3, SIZE, SIZE))]
    images = torch.rand(5, 3, SIZE, SIZE)
    torch.testing.assert_close(torch.from_numpy(served.predict(images.numpy())), made(images).detach())
    version = client.get_model_version_by_alias(NAME, "champion")
    assert (folder(version) / "model_card.md").read_text().strip().startswith("---")
    assert json.loads((folder(version) / "serving_input_example.json").read_text())["inputs"]
