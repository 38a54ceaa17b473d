"""What one clone has computed reaches another through a DVC remote, a folder or S3, results of other parameters too."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from impasto.locked import dvc_md5
from loopback import Server, free_port
from repository import Repository
from tiny import ROOT, change

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UP_TO_DATE = "Data and pipelines are up to date."
ACCOUNT = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "pictures"


class Clone(Repository):
    """Another folder with what is committed in a repository, and nothing else."""

    def __init__(self, origin: Repository, root: Path) -> None:
        self.root = root
        subprocess.run(["git", "clone", "-q", str(origin.root), str(root)], check=True, capture_output=True)
        for name, value in (("user.name", "tests"), ("user.email", "tests@localhost")):
            self.run("git", "config", name, value)


class Remote(NamedTuple):
    """Where a clone pushes to."""

    words: list[str]
    """What `make remote` is told."""
    options: dict[str, str]
    """Options of the remote that are set afterwards."""

    def name(self, repository: Repository) -> str:
        """Give the clone this remote, by the command of the documentation; returns what that says."""
        venv = Path(sys.executable).parents[1]
        words = ["make", "-o", f"{venv}/.installed", f"VENV={venv}", "remote", *self.words]
        said = repository.run(*words, MAKEFLAGS="").stdout
        for option, value in self.options.items():
            repository.dvc("remote", "modify", "--local", "team", option, value)
        return said


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The first stages, run for one share of validation images and for another, then back at the first."""
    found = Repository(tmp_path_factory.mktemp("made"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, found.root / name)
    pipeline = found.root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().partition("\n  generate:")[0] + "\n")
    found.dvc("repro")
    found.run("git", "add", "-A")
    found.run("git", "commit", "-q", "-m", "results")
    change(found.root / "params.yaml", dataset__validation=0.2)
    assert "Running stage 'split'" in found.dvc("repro").stdout
    found.run("git", "checkout", "-q", ".")
    assert "Running stage" not in found.dvc("repro").stdout
    return found


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for package, extra in (("dvc_s3", "s3"), ("moto", "servers")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the extra {extra} is not installed")
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("s3") / "log"
    server = Server(words, port, "/moto-api/", os.environ | ACCOUNT, log)
    server.start()
    yield server
    server.end(signal.SIGTERM)


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "folder":
        return Remote([f"REMOTE={tmp_path / 'a store'}"], {})
    server = request.getfixturevalue("s3")  # which skips where an extra is missing
    import boto3

    keys = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=server.uri, **keys).create_bucket(Bucket=BUCKET)
    return Remote([f"REMOTE=s3://{BUCKET}/impasto"], {"endpointurl": server.uri})


def test_a_fresh_clone_runs_nothing_that_another_has_run(made: Repository, remote: Remote, tmp_path: Path) -> None:
    said = remote.name(made)
    assert "config.local" in said and "impasto share" in said
    assert not made.run("git", "status", "--porcelain").stdout, "nothing of the remote is committed"
    assert "of runs in the remote" in made.run("impasto", "share", **ACCOUNT).stdout

    clone = Clone(made, tmp_path / "clone")
    remote.name(clone)
    clone.dvc("pull", "--run-cache", **ACCOUNT)
    assert clone.dvc("repro").stdout.splitlines()[-1] == UP_TO_DATE
    assert clone.outputs() == made.outputs()

    change(clone.root / "params.yaml", dataset__validation=0.2)
    said = clone.dvc("repro", "--pull", **ACCOUNT).stdout
    assert "Stage 'split' is cached - skipping run" in said and "Running stage" not in said
    assert clone.outputs()["data/split"] != made.outputs()["data/split"]
    change(clone.root / "params.yaml", dataset__validation=0.3)
    assert "Running stage 'split'" in clone.dvc("repro").stdout, "which nobody has run"
    assert (clone.root / "metrics" / "time" / "split.json").exists()


def test_a_clone_makes_images_anew_that_were_kept_private(made: Repository, tmp_path: Path) -> None:
    origin, remote = Clone(made, tmp_path / "origin"), Remote([], {})
    origin.run("impasto", "private")
    origin.dvc("repro")
    origin.run("git", "commit", "-q", "-a", "-m", "private")
    assert f"{tmp_path.name}/origin-dvc" not in remote.name(origin)
    origin.run("impasto", "share")
    assert (tmp_path / "origin-dvc").is_dir(), "the default is a folder beside the repository"

    clone = Clone(origin, tmp_path / "clone")
    Remote([f"REMOTE={tmp_path / 'origin-dvc'}"], {}).name(clone)
    assert "data/raw/train" in clone.dvc("pull", "--run-cache", check=False).stderr, "DVC misses them"
    clone.dvc("pull", "--run-cache", "--allow-missing")
    assert (clone.root / "data" / "split").is_dir() and not (clone.root / "data" / "raw" / "train").exists()
    said = clone.dvc("repro").stdout
    assert [line for line in said.splitlines() if line.startswith("Running")] == ["Running stage 'download':"]
    assert clone.outputs() == origin.outputs()


def test_what_dvc_records_of_an_output_can_be_told_without_it(made: Repository) -> None:
    """As `impasto track register` does."""
    assert all(dvc_md5(made.root / path) == md5 for path, md5 in made.outputs().items())


def test_without_data_the_lock_can_be_checked(made: Repository, tmp_path: Path) -> None:
    """As the continuous integration does: no remote, no file of data/."""
    clone = Clone(made, tmp_path / "clone")
    words = ("repro", "--allow-missing", "--dry")
    assert clone.dvc(*words).stdout.splitlines()[-1] == UP_TO_DATE
    assert not (clone.root / "data").exists()
    change(clone.root / "params.yaml", dataset__validation=0.2)
    stale = clone.dvc(*words, check=False)
    assert stale.returncode or "Running stage 'split'" in stale.stdout


@pytest.mark.parametrize(("bucket", "told"), [("nowhere", "bucket"), ("", "connect")])
def test_dvc_says_what_is_wrong_with_a_bucket_or_a_server(
    made: Repository, s3: Server, tmp_path: Path, bucket: str, told: str
) -> None:
    """A bucket that is not there, a server that does not answer: DVC's own words, and an exit code."""
    clone = Clone(made, tmp_path / "clone")
    address = s3.uri if bucket else f"http://127.0.0.1:{free_port()}"
    Remote([f"REMOTE=s3://{bucket or BUCKET}/x"], {"endpointurl": address}).name(clone)
    done = clone.dvc("pull", check=False, **ACCOUNT)
    print(done.stdout, done.stderr)
    assert done.returncode and told in done.stderr.lower()
