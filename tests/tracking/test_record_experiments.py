from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tracking_repo import PARAMS, children, git, parents

from impasto.errors import ImpastoError
from impasto.tracking import experiments, store
from impasto.tracking.experiments import consistent, record_experiments
from impasto.tracking.stage import stage_run

if TYPE_CHECKING:
    from mlflow import MlflowClient


def lock(summary: bytes, lambda_s: float) -> str:
    """A dvc.lock as DVC leaves it after a whole run."""
    md5 = hashlib.md5(summary, usedforsecurity=False).hexdigest()
    train = {"params": {"params.yaml": {"lambda_s": lambda_s, "train.epochs": 2}}, "outs": [{"path": "m", "md5": "1"}]}
    report = {"deps": [{"path": "m", "md5": "1"}], "outs": [{"path": "metrics/summary.json", "md5": md5}]}
    return json.dumps({"schema": "2.0", "stages": {"train": train, "report": report}})


def finish(repo: Path, lambda_s: float, accuracy: float) -> None:
    """Leave the workspace as a finished pipeline leaves it."""
    summary = json.dumps({"clean": {"mean": accuracy}})
    (repo / "metrics").mkdir(exist_ok=True)
    (repo / "metrics" / "summary.json").write_text(summary)
    (repo / "params.yaml").write_text(PARAMS.replace("0.5", str(lambda_s)))
    (repo / "dvc.lock").write_text(lock(summary.encode(), lambda_s))


def experiment(repo: Path, name: str, lambda_s: float, accuracy: float) -> str:
    """Make what `dvc exp run -n NAME -S lambda_s=...` leaves behind, the workspace put back; return the baseline."""
    baseline = git("rev-parse", "HEAD")
    finish(repo, lambda_s, accuracy)
    git("add", ".")
    tree = git("write-tree")
    commit = git("commit-tree", tree, "-p", baseline, "-m", name)
    git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
    git("reset", "-q", "--hard")
    return baseline


def test_cached_experiments_get_a_row_from_their_commit(repo: Path, client: MlflowClient) -> None:
    baseline = experiment(repo, "wet-kiwi", 0.6, 0.75)
    experiment(repo, "dry-lime", 0.7, 0.5)
    git("update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    assert record_experiments() == 2
    rows = {row.info.run_name: row for row in parents(client)}
    assert set(rows) == {"wet-kiwi", "dry-lime"}
    kiwi = rows["wet-kiwi"]
    assert kiwi.data.metrics == {"clean.mean": 0.75}
    assert kiwi.data.params["lambda_s"] == "0.6"
    assert kiwi.info.status == "FINISHED"
    assert (kiwi.data.tags["cached"], kiwi.data.tags["dvc.baseline"]) == ("true", baseline)
    assert record_experiments() == 0
    assert len(parents(client)) == 2


def test_a_row_that_a_stage_made_is_completed_not_doubled(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "params.yaml").write_text(PARAMS.replace("0.5", "0.6"))
    monkeypatch.setenv("DVC_EXP_NAME", "wet-kiwi")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", git("rev-parse", "HEAD"))
    with stage_run("train", {}, "impasto digits"):
        pass
    experiment(repo, "wet-kiwi", 0.6, 0.75)
    assert record_experiments() == 1
    (row,) = parents(client)
    assert row.data.metrics == {"clean.mean": 0.75}
    assert "cached" not in row.data.tags
    assert len(children(client, row)) == 1


def test_a_row_whose_report_ran_needs_nothing(
    repo: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = experiment(repo, "wet-kiwi", 0.6, 0.75)
    finish(repo, 0.6, 0.75)
    monkeypatch.setenv("DVC_EXP_NAME", "wet-kiwi")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", baseline)
    with stage_run("report", {}, "impasto digits") as run:
        run.summary(json.loads((repo / "metrics" / "summary.json").read_text()))
    assert record_experiments() == 0
    assert len(parents(client)) == 1


def test_the_workspace_gets_a_row_unless_another_shows_the_same(repo: Path, client: MlflowClient) -> None:
    finish(repo, 0.5, 0.25)
    assert record_experiments() == 1
    (row,) = parents(client)
    assert (row.info.run_name, row.data.metrics) == ("workspace", {"clean.mean": 0.25})
    git("add", ".")
    git("commit", "-q", "-m", "results")
    assert record_experiments() == 0
    experiment(repo, "wet-kiwi", 0.6, 0.75)
    finish(repo, 0.6, 0.75)  # what `dvc exp run` leaves in the workspace too
    assert record_experiments() == 1
    assert sorted(str(row.info.run_name) for row in parents(client)) == ["wet-kiwi", "workspace"]


def test_edited_parameters_get_no_row_with_old_metrics(repo: Path, client: MlflowClient) -> None:
    finish(repo, 0.5, 0.25)
    (repo / "params.yaml").write_text(PARAMS.replace("0.5", "0.9"))
    assert record_experiments() == 0
    assert not parents(client)


def test_recorded_experiments_are_not_read_again(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment(repo, "wet-kiwi", 0.6, 0.75)
    record_experiments()
    monkeypatch.setattr(experiments, "_finished", lambda *_: pytest.fail("read again"))
    assert record_experiments() == 0


def test_with_nothing_to_record_the_store_stays_closed(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "open_store", lambda: pytest.fail("opened"))
    assert record_experiments() == 0


def test_a_broken_store_is_the_users_to_mend(repo: Path) -> None:
    finish(repo, 0.5, 0.25)
    (repo / "mlflow.db").write_bytes(b"no database" * 999)
    with pytest.raises(ImpastoError, match=r"Move a broken mlflow\.db away"):
        record_experiments()


SUMMARY = b'{"clean": 1}'
GOOD: dict[str, Any] = json.loads(lock(SUMMARY, 0.5))


@pytest.mark.parametrize(
    ("params", "summary", "model", "expected"),
    [
        ({"lambda_s": 0.5, "train": {"epochs": 2}}, SUMMARY, "1", True),
        ({"lambda_s": 0.6, "train": {"epochs": 2}}, SUMMARY, "1", False),
        ({"lambda_s": 0.5, "train": {}}, SUMMARY, "1", False),
        ({"lambda_s": 0.5, "train": {"epochs": 2}}, b"{}", "1", False),
        ({"lambda_s": 0.5, "train": {"epochs": 2}}, SUMMARY, "2", False),
    ],
)
def test_only_metrics_of_these_very_parameters_are_consistent(
    params: dict[str, Any], summary: bytes, model: str, expected: bool
) -> None:
    changed: dict[str, Any] = json.loads(json.dumps(GOOD))
    changed["stages"]["train"]["outs"][0]["md5"] = model
    assert consistent(changed, params, summary) is expected


def test_a_schedule_is_compared_as_a_whole() -> None:
    changed: dict[str, Any] = json.loads(json.dumps(GOOD))
    changed["stages"]["train"]["params"]["params.yaml"]["lambda_s"] = {0: 0.5, 3: 0.2}
    for theirs, expected in (
        ({0: 0.5, 3: 0.2}, True),
        ({0: 0.5}, False),
        ({0: 0.5, 3: 0.2, 7: 0.1}, False),
        (0.5, False),
    ):
        assert consistent(changed, {"lambda_s": theirs, "train": {"epochs": 2}}, SUMMARY) is expected


def test_without_a_lock_nothing_is_consistent() -> None:
    assert not consistent({}, {}, SUMMARY)
