"""DVC itself: what `impasto private` marks reaches no remote, by no command that sends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from impasto.private import mark
from impasto.shared_runs import share_runs

pytestmark = pytest.mark.slow

PIPELINE = """stages:
  a:
    cmd: mkdir -p data/raw/train pictures model && cp in data/raw/train/img && cp in pictures/a.png && echo 1 > model/w
    deps: [in]
    outs: [data/raw/train, pictures/a.png, model]
"""


@pytest.mark.parametrize("marked", [True, False])
def test_no_image_is_sent(tmp_path: Path, marked: bool) -> None:
    def run(*words: str) -> None:
        subprocess.run(words, cwd=repo, check=True, capture_output=True)

    repo, remote, bare = tmp_path / "repo", tmp_path / "remote", tmp_path / "bare"
    repo.mkdir()
    run("git", "init", "-q", ".")
    run("git", "init", "-q", "--bare", str(bare))
    for name, value in (("user.email", "a@example.org"), ("user.name", "a")):
        run("git", "config", name, value)
    run("dvc", "init", "-q")
    run("dvc", "remote", "add", "-q", "-d", "there", str(remote))
    (repo / "in").write_text("the pixels of a face")
    (repo / "dvc.yaml").write_text(PIPELINE)
    if marked:
        mark(repo / "dvc.yaml", private=True)
    run("dvc", "repro", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "a")
    run("git", "remote", "add", "origin", str(bare))
    run("git", "push", "-q", "origin", "HEAD")
    run("dvc", "push")
    run("dvc", "push", "--run-cache", "--all-commits")
    share_runs(repo)
    (repo / "in").write_text("the pixels of another face")
    run("dvc", "exp", "run", "-q", "-n", "other")
    share_runs(repo)
    run("dvc", "exp", "push", "origin", "other")
    sent = [path.read_bytes() for path in remote.rglob("*") if path.is_file()]
    assert any(content == b"1\n" for content in sent), "what is not marked goes there"
    assert any(b"pixels of" in content for content in sent) is not marked


def test_dvc_asks_again_once_the_marks_are_gone(tmp_path: Path) -> None:
    """A checkout takes dvc.yaml back: what DVC restores must not be sent either."""

    def run(*words: str, fails: bool = False) -> str:
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert bool(done.returncode) == fails, done.stderr
        return done.stdout

    run("git", "init", "-q", ".")
    run("dvc", "init", "-q")
    (tmp_path / "ask").write_text("grep -q 'push: false' dvc.yaml && echo 1 > token")
    before = (
        "vars: [run: sh ask]\nstages:\n"
        "  check:\n    cmd: ${run} check --out token\n    deps: [ask]\n    outs: [token]\n"
        "  a:\n    cmd: mkdir -p data/raw/train && echo face > data/raw/train/img\n    deps: [token]\n"
        "    outs: [data/raw/train]\n"
    )
    (tmp_path / "dvc.yaml").write_text(before)
    run("dvc", "repro", "-q", fails=True)
    mark(tmp_path / "dvc.yaml", private=True)
    run("dvc", "repro", "-q")
    (tmp_path / "dvc.yaml").write_text(before)
    run("dvc", "repro", "-q", fails=True)
    mark(tmp_path / "dvc.yaml", private=True)
    assert "Running stage" not in run("dvc", "repro"), "and restores what ran with them"
