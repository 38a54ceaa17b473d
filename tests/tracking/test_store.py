from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tracking_repo import children, parents

from impasto.tracking import store

STAGE = """
import sys
from impasto.tracking.stage import stage_run
with stage_run(sys.argv[1], {}, "impasto digits") as run:
    run.metrics({"loss": 1.0})
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_first_users_at_once_share_one_store_and_one_row(repo: Path) -> None:
    (repo / "mlflow.db").unlink()
    pair = [subprocess.Popen([sys.executable, "-c", STAGE, stage], stderr=subprocess.PIPE, text=True) for stage in "ab"]
    assert [process.communicate()[1] for process in pair] == ["", ""]
    client = store.open_store()
    (parent,) = parents(client)
    assert sorted(run.data.tags["stage"] for run in children(client, parent)) == ["a", "b"]


@pytest.mark.parametrize(
    ("address", "local", "server"),
    [
        ("", "mlflow.db", None),
        ("https://mlflow.example.org", "mlflow.db", "https://mlflow.example.org"),
        ("sqlite:///else.db", "sqlite:///else.db", None),
    ],
)
def test_the_address_names_a_server_or_the_store_itself(
    repo: Path, monkeypatch: pytest.MonkeyPatch, address: str, local: str, server: str | None
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert store.store_uri() == (f"sqlite:///{repo / local}" if local == "mlflow.db" else local)
    assert store.server_uri() == server


def test_any_number_of_parameters_is_logged(repo: Path) -> None:
    client = store.open_store()
    home = store.experiment_id(client, "many")
    run = client.create_run(home)
    store.log(client, run.info.run_id, params={"section": {f"p{i}": i for i in range(250)}})
    assert len(client.get_run(run.info.run_id).data.params) == 250
    assert store.experiment_id(client, "many") == home


def test_errors_of_the_program_itself_are_not_tolerated() -> None:
    with pytest.raises(KeyError), store.tolerated("logging", "goes on"):
        raise KeyError("a bug")
