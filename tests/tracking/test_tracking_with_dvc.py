"""The rows of real DVC experiments: the same whether their stages ran or were restored from the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tracking_repo import git, parents

from impasto.tracking import store
from impasto.tracking.experiments import record_experiments

if TYPE_CHECKING:
    from mlflow.entities import Run

STAGE = """
import json, pathlib
from ruamel.yaml import YAML
from impasto.tracking.stage import stage_run
params = YAML(typ="safe").load(pathlib.Path("params.yaml"))
with stage_run("report", {"lambda_s": params["lambda_s"]}, "impasto digits", {"code": pathlib.Path("stage.py")}) as run:
    summary = {"clean": {"mean": params["lambda_s"] / 2}}
    pathlib.Path("metrics").mkdir(exist_ok=True)
    pathlib.Path("metrics/summary.json").write_text(json.dumps(summary))
    run.summary(summary)
"""
PIPELINE = f"""
stages:
  report:
    cmd: {sys.executable} stage.py
    deps: [stage.py]
    params: [params.yaml: ]
    metrics: [metrics/summary.json: {{cache: false}}]
"""


def dvc(*arguments: str) -> None:
    """Run DVC in the current folder; it must succeed."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def essence(rows: list[Run]) -> list[tuple[str, str, dict[str, str], dict[str, float]]]:
    """What a row stands for, sorted by name."""
    found = [(r.info.run_name, r.data.tags["impasto.execution"], r.data.params, r.data.metrics) for r in rows]
    return sorted(found, key=lambda row: row[0])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_rows_made_from_commits_equal_those_of_the_stages(
    repo: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "true")
    (repo / "stage.py").write_text(STAGE)
    (repo / "dvc.yaml").write_text(PIPELINE)
    dvc("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "pipeline")
    dvc("repro", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "results")
    dvc("exp", "run", "-q", "-n", "wet-kiwi", "-S", "lambda_s=0.6")
    dvc("exp", "run", "-q", "--temp", "-n", "dry-lime", "-S", "lambda_s=0.7")
    ran = parents(store.open_store())
    assert [(row.info.run_name, row.data.metrics["clean.mean"]) for row in ran] == [
        ("workspace", 0.25),
        ("wet-kiwi", 0.3),
        ("dry-lime", 0.35),
    ]
    dvc("exp", "run", "-q", "-n", "old-kiwi", "-S", "lambda_s=0.6")
    assert record_experiments() == 1
    client = store.open_store()
    (cached,) = [row for row in parents(client) if "cached" in row.data.tags]
    assert (cached.info.run_name, cached.data.metrics) == ("old-kiwi", {"clean.mean": 0.3})
    every = essence([row for row in parents(client) if row.info.run_name != "workspace"])
    for row in parents(client):
        client.delete_run(row.info.run_id)
    assert record_experiments() == 3
    assert essence(parents(client)) == every
