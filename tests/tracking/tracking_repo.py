"""What the tests of tracking share: the repository's parameters, git, and the rows of a store."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from impasto.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARAMS = "# a comment\nseed: 3\nseeds: [0, 1]\nlambda_s: 0.5\ndataset: {name: digits, root: null}\ntrain: {epochs: 2}\n"
IDENTITY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(*arguments: str) -> str:
    """Run git in the current folder; it must succeed."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def children(client: MlflowClient, parent: Run) -> list[Run]:
    """The stages of an execution, oldest first."""
    return store.search(client, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def parents(client: MlflowClient) -> list[Run]:
    """The rows of all executions, oldest first."""
    return store.search(client, "tags.stage = 'pipeline'")
