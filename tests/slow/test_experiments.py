"""Experiments as people type them, and what MLflow, DVC and the browser then show."""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET_BROWSER = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
)  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The pipeline, run once and committed, then one experiment, one sweep on two workers and one repetition."""
    repository = Repository(tmp_path_factory.mktemp("experiments"))
    repository.dvc("repro")
    repository.run("git", "add", "-A")
    repository.run("git", "commit", "-q", "-m", "results")
    return repository


@pytest.fixture(scope="module")
def explored(ran: Repository) -> Repository:
    first = ran.dvc("exp", "run", "-n", "sixty", "-S", "lambda_s=0.6").stdout
    assert "Running stage 'train'" in first and "Running stage 'style'" not in first
    ran.run("git", "checkout", "-q", ".")
    ran.dvc("checkout", "-q")
    ran.dvc("exp", "run", "--queue", "-n", "sweep", "-S", "lambda_s=0.0,0.5,1.0")
    ran.dvc("queue", "start", "-j", "2")
    deadline = time.monotonic() + 900
    while re.search("Running|Queued", status := ran.dvc("queue", "status").stdout):
        assert time.monotonic() < deadline, status
        time.sleep(3)
    assert "Failed" not in status, status
    return ran


def names(repository: Repository) -> set[str]:
    return set(repository.dvc("exp", "list", "--name-only").stdout.split())


def rows(repository: Repository) -> list[dict[str, str]]:
    text = repository.dvc("exp", "show", "--csv").stdout
    return list(csv.DictReader(io.StringIO(text)))


def test_the_second_run_does_nothing(ran: Repository) -> None:
    """The 5 seconds are the processor's: other work on the machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Data and pipelines are up to date." in ran.dvc("repro").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5


def test_experiments_show_the_right_columns(explored: Repository) -> None:
    table = rows(explored)
    metrics = {"clean", "C", "fd_efficientnet_lite0_112", "share_synthetic", "share_stylised_o", "share_stylised_s"}
    assert metrics <= set(table[0])
    found = {row["Experiment"]: row for row in table}
    assert {"sixty", "sweep-1", "sweep-2", "sweep-3"} <= set(found)
    assert [float(found[n]["lambda_s"]) for n in ("sixty", "sweep-1", "sweep-2", "sweep-3")] == [0.6, 0.0, 0.5, 1.0]
    assert float(found["sweep-1"]["share_stylised_s"]) == 0 and float(found["sweep-3"]["share_stylised_s"]) == 1
    distances = [float(found[f"sweep-{n}"]["fd_efficientnet_lite0_112"]) for n in (1, 2, 3)]
    assert distances == sorted(distances)


def test_dvc_compares_experiments(explored: Repository) -> None:
    difference = json.loads(explored.dvc("params", "diff", "sweep-1", "sweep-3", "--json").stdout)
    assert list(difference["params.yaml"]) == ["lambda_s"]
    assert (difference["params.yaml"]["lambda_s"]["old"], difference["params.yaml"]["lambda_s"]["new"]) == (0.0, 1.0)
    metrics = json.loads(explored.dvc("metrics", "diff", "sweep-1", "sweep-3", "--json").stdout)
    assert metrics["metrics/summary.json"]["share_stylised_s"]["diff"] == 1.0
    assert "lambda_s" in explored.dvc("exp", "diff", "sweep-1", "sweep-3").stdout
    explored.dvc("plots", "show", "-o", "plots")
    page = (explored.root / "plots" / "index.html").read_text()
    assert all(name in page for name in ("train.csv", "fid.csv", "corruptions.csv"))
    shutil.rmtree(explored.root / "plots")


def test_mlflow_has_a_row_per_experiment(explored: Repository) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{explored.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("impasto digits")
    assert experiment is not None
    parents = client.search_runs([experiment.experiment_id], "tags.stage = 'pipeline'")
    by_name = {run.data.tags["dvc.experiment"]: run for run in parents}
    assert {"workspace", "sixty", "sweep-1", "sweep-3"} <= set(by_name)  # sweep-2 is the default: nothing ran
    for name, share in (("sixty", "0.6"), ("sweep-3", "1.0")):
        run = by_name[name]
        assert run.data.params["lambda_s"] == share and run.data.params["train.epochs"] == "8"
        assert {"clean", "C", "share_stylised_s"} <= set(run.data.metrics)
        stages = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        assert "train" in {child.data.tags["stage"] for child in stages}
        train = next(child for child in stages if child.data.tags["stage"] == "train")
        assert len(client.get_metric_history(train.info.run_id, "loss")) == 8
        assert train.inputs.dataset_inputs, "the datasets are logged"


def test_a_cached_experiment_gets_its_row(explored: Repository) -> None:
    """It repeats an earlier one, so DVC runs no stage and nothing is logged until `impasto track record`."""
    explored.dvc("exp", "run", "-n", "again", "-S", "lambda_s=0.6")
    explored.run("git", "checkout", "-q", ".")
    explored.dvc("checkout", "-q")
    assert "again" in names(explored)
    explored.run("impasto", "track", "record")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{explored.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("impasto digits")
    assert experiment is not None
    for name, share in (("again", "0.6"), ("sweep-2", "0.5")):
        query = f"tags.`dvc.experiment` = '{name}' and tags.stage = 'pipeline'"
        found = client.search_runs([experiment.experiment_id], query)
        assert len(found) == 1 and "C" in found[0].data.metrics and found[0].data.params["lambda_s"] == share


@pytest.fixture
def ui(explored: Repository) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{explored.root / 'mlflow.db'}"
    words = ["mlflow", "ui", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(
        words,
        env=explored.environment(MLFLOW_DISABLE_TELEMETRY="true"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(20)


def browse(url: str, folder: Path, *flags: str) -> str:
    words = [CHROMIUM or "", *QUIET_BROWSER, f"--user-data-dir={folder / 'profile'}", *flags, url]
    return subprocess.run(words, capture_output=True, text=True, timeout=180, check=True).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_mlflow_compares_two_experiments(explored: Repository, ui: str, tmp_path: Path) -> None:
    """Choosing the rows of two experiments shows lambda_s and robust accuracy side by side."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{explored.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("impasto digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.stage = 'pipeline'")
    chosen = {run.data.tags["dvc.experiment"]: run for run in runs}
    ids = "%2C".join(f"%22{chosen[name].info.run_id}%22" for name in ("sweep-1", "sweep-3"))
    url = f"{ui}/#/compare-runs?runs=%5B{ids}%5D&experiments=%5B%22{experiment.experiment_id}%22%5D"
    page = browse(url, tmp_path, "--virtual-time-budget=40000", "--window-size=1600,2400", "--dump-dom")
    assert "lambda_s" in page
    for name in ("sweep-1", "sweep-3"):
        robust = chosen[name].data.metrics["C"]
        rounded = {f"{value:.3f}".rstrip("0") for value in (robust - 0.0005, robust, robust + 0.0005)}
        assert any(f">{text}<" in re.sub(r"\s", "", page) for text in rounded), f"{name}: {robust} is not shown"
        assert re.search(rf">\s*{chosen[name].data.params['lambda_s']}\s*<", page), f"{name}: lambda_s is not shown"
    shot = Path(str(tmp_path / "compare.png"))
    browse(url, tmp_path, "--virtual-time-budget=40000", "--window-size=1600,2400", f"--screenshot={shot}")
    assert shot.stat().st_size > 20_000


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_report_opens_without_a_network(ran: Repository, tmp_path: Path) -> None:
    page = browse(
        (ran.root / "report" / "index.html").as_uri(), tmp_path, "--dump-dom", "--host-resolver-rules=MAP * ~NOTFOUND"
    )
    summary = json.loads((ran.root / "metrics" / "summary.json").read_text())
    assert f"{100 * summary['C']:.1f}" in page
    assert not re.search(r"(src|href)=\"https?://[^\"]+\.(js|css|png|woff)", page)


def test_a_dead_server_costs_a_warning(ran: Repository) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = ran.dvc("repro", "-f", "-s", "split", MLFLOW_TRACKING_URI=address)
    assert (done.stdout + done.stderr).count(address) == 1
    ran.run("git", "checkout", "-q", ".")
    ran.dvc("checkout", "-q")


def test_main_is_up_to_date_again(ran: Repository) -> None:
    """Nothing that the tests above did has touched the workspace."""
    assert not [line for line in ran.run("git", "status", "--porcelain").stdout.splitlines() if "mlflow" not in line]
