"""A tiny repository with an MLflow store whose schema was written once for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tracking_repo import IDENTITY, PARAMS, git

from impasto.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


@pytest.fixture
def repo(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A committed repository as the current folder, untouched by the environment of an outer run."""
    folder = tmp_path / "repo"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("DVC_", "MLFLOW_", "GIT_")) or name == "RANK":
            monkeypatch.delenv(name)
    for name, value in {**IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "IMPASTO_DEVICE": "cpu"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(store, "_warned", set())
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".gitignore").write_text("/mlflow.db*\n/mlartifacts/\n/.mlflow.lock\n")
    shutil.copy(template, folder / "mlflow.db")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    yield folder
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:  # set by the code under test
        monkeypatch.delenv(name)


@pytest.fixture
def client(repo: Path) -> MlflowClient:
    """A client of the repository's store."""
    return store.open_store()
