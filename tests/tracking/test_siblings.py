"""Runs that differ in one parameter alone, for the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracking_repo import PARAMS, parents

from impasto.tracking.siblings import Sibling
from impasto.tracking.stage import stage_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from impasto.tracking.stage import StageRun


def execute(repo: Path, score: float | None, **changes: Any) -> list[Sibling]:
    """Run a stage with changed parameters; it may leave a summary, and returns what it sees of others."""
    text = PARAMS
    for name, (old, new) in changes.items():
        assert f"{name}: {old}" in text
        text = text.replace(f"{name}: {old}", f"{name}: {new}")
    (repo / "params.yaml").write_text(text)
    run: StageRun
    with stage_run("report", {}, "impasto digits") as run:
        found = run.siblings("lambda_s")
        if score is not None:
            run.summary({"clean": 1.0, "C": score})
    return found


def test_only_finished_runs_that_differ_in_this_parameter_alone(repo: Path, client: MlflowClient) -> None:
    assert execute(repo, 0.5) == []
    execute(repo, 0.9, lambda_s=(0.5, 1), epochs=(2, 3))
    execute(repo, None, lambda_s=(0.5, 0.75))
    execute(repo, 0.7, lambda_s=(0.5, 1))
    execute(repo, 0.6, lambda_s=(0.5, 0.25))
    assert execute(repo, 0.5) == [Sibling(0.25, {"clean": 1.0, "C": 0.6}), Sibling(1.0, {"clean": 1.0, "C": 0.7})]


def test_schedules_are_logged_as_one_parameter_and_have_no_place_among_numbers(
    repo: Path, client: MlflowClient
) -> None:
    execute(repo, 0.9, lambda_s=(0.5, "{0: 0.5, 3: 0.2}"))
    (logged,) = parents(client)
    assert logged.data.params["lambda_s"] == '{"0": 0.5, "3": 0.2}'
    assert execute(repo, 0.6, lambda_s=(0.5, 0.25)) == []
    assert execute(repo, None, lambda_s=(0.5, "{0: 0.5, 4: 0.2}")) == [Sibling(0.25, {"clean": 1.0, "C": 0.6})]


def test_of_two_runs_with_one_value_the_later_one(repo: Path, client: MlflowClient, monkeypatch: Any) -> None:
    for name, score in (("first", 0.6), ("second", 0.7)):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        execute(repo, score, lambda_s=(0.5, 1))
    assert execute(repo, None) == [Sibling(1.0, {"clean": 1.0, "C": 0.7})]
