"""Rows for executions that ran no stage: DVC restored every result from its cache, so nothing was logged."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from impasto.config.base import flatten
from impasto.errors import ImpastoError
from impasto.io import digest
from impasto.tracking import store
from impasto.tracking.execution import LOCK, PARAMS, Execution, experiment_name, git, git_bytes, numbers, parse_yaml
from impasto.workspace import main_root

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SUMMARY = "metrics/summary.json"
_COMMIT = "dvc.commit"
_FORMAT = "%(refname) %(objectname) %(committerdate:unix)"
_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/ ]+) ([0-9a-f]{40}) (\d+)")


class _Finished(NamedTuple):
    """An execution whose results are on file."""

    execution: Execution
    metrics: dict[str, float]
    started: int  # milliseconds since 1970
    commit: str  # of the DVC experiment; empty for the workspace

    @property
    def content(self) -> tuple[str, str]:
        return digest(self.execution.params), digest(self.metrics)


@store.mendable()
def record_experiments() -> int:
    """Give every finished DVC experiment, and the workspace, the row that it lacks in MLflow.

    Rows are made from committed files alone: ``params.yaml``, ``metrics/summary.json`` and
    ``dvc.lock``, which tells whether those two belong together. The workspace gets a row only if no
    other has both its parameters and its metrics. Experiments recorded before cost nothing.

    Returns:
        How many rows were made or completed.

    Raises:
        ImpastoError: ``params.yaml`` is no YAML, or the store cannot be opened or written.
    """
    root = main_root()
    references: list[tuple[str, ...]] = _REF.findall(git("for-each-ref", f"--format={_FORMAT}", "refs/exps", root=root))
    workspace = _workspace(root)
    if not references and not workspace:
        return 0
    client = store.open_store()
    tags = [run.data.tags for run in store.search(client, "tags.stage = 'pipeline'")]
    known = {row.get(_COMMIT) for row in tags}
    fresh = list(_experiments(root, [reference for reference in references if reference[3] not in known]))
    shown = {(row.get("impasto.params"), row.get(store.SUMMARY)) for row in tags} | {row.content for row in fresh}
    if workspace and workspace.content not in shown:
        fresh.append(workspace)
    return sum(_record(client, row) for row in fresh)


@store.mendable()
def workspace_run() -> Run:
    """The row of the execution whose results the workspace holds, made if there is none; of several the latest.

    Raises:
        ImpastoError: the pipeline has not been run to its end with the parameters of ``params.yaml``.
    """
    row = _workspace(main_root())
    if row is None:
        what = f"{SUMMARY} is not what {PARAMS} and {LOCK} say"
        raise ImpastoError(what, where=str(main_root()), remedy="Run `dvc repro` to its end.")
    record_experiments()
    params, shown = row.content
    query = f"tags.`impasto.params` = '{params}' and tags.`{store.SUMMARY}` = '{shown}' and tags.stage = 'pipeline'"
    return store.search(store.open_store(), query)[-1]


def consistent(lock: Mapping[str, Any], params: Mapping[str, Any], summary: bytes) -> bool:
    """Whether metrics are those of these parameters, by the ``dvc.lock`` beside them.

    The lock must hold the parameters that each stage ran with, the very bytes of the summary, and,
    for every output of one stage that another reads, the same content on both sides; otherwise a
    parameter was edited, or the pipeline stopped half-way, after the summary was written.
    """
    stages = (lock.get("stages") or {}).values()
    outputs = {out["path"]: out.get("md5") for stage in stages for out in stage.get("outs", ())}
    flat = dict(flatten(params))
    used = [item for stage in stages for item in flatten(stage.get("params", {}).get(PARAMS, {}))]
    read = [dep for stage in stages for dep in stage.get("deps", ()) if dep["path"] in outputs]
    return (
        outputs.get(SUMMARY) == hashlib.md5(summary, usedforsecurity=False).hexdigest()
        and all(name in flat and flat[name] == value for name, value in used)
        and all(dep.get("md5") == outputs[dep["path"]] for dep in read)
    )


def _experiments(root: Path, references: list[tuple[str, ...]]) -> Iterator[_Finished]:
    for head, tail, name, commit, seconds in references:

        def read(path: str, commit: str = commit) -> bytes:
            return git_bytes("show", f"{commit}:./{path}", root=root)

        if row := _finished(read, head + tail, name, int(seconds) * 1000, commit):
            yield row


def _workspace(root: Path) -> _Finished | None:
    def read(path: str) -> bytes:
        return (root / path).read_bytes() if (root / path).is_file() else b""

    if not (root / SUMMARY).is_file():
        return None
    baseline = git("rev-parse", "--verify", "HEAD", root=root) or "none"
    return _finished(read, baseline, "workspace", int((root / SUMMARY).stat().st_mtime * 1000), "")


def _finished(read: Callable[[str], bytes], baseline: str, name: str, started: int, commit: str) -> _Finished | None:
    summary = read(SUMMARY)
    params = parse_yaml(read(PARAMS)) if summary else {}
    if not summary or not consistent(parse_yaml(read(LOCK)), params, summary):
        return None
    return _Finished(Execution(baseline, name, params), numbers(json.loads(summary)), started, commit)


def _record(client: MlflowClient, row: _Finished) -> bool:
    tags = {"cached": "true", "git.revision": row.execution.baseline}
    run = store.parent_run(client, row.execution, experiment_name(row.execution.params), tags, row.started)
    run_id = run.info.run_id
    if row.commit:
        client.set_tag(run_id, _COMMIT, row.commit)
    if run.info.status == "RUNNING" and run.data.tags.get("cached"):
        client.set_terminated(run_id, "FINISHED", row.started)
    return store.summarise(client, run_id, row.metrics)
