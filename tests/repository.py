"""A copy of the repository in a temporary folder, for tests that run DVC for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from closure import ROOT

#: The smallest run in which every stage has something to do and to lose.
TINY = """
synthetic: {pool: 300, count: 200, keep: 0.9, generator: {width: 8, iterations: 60, sampler_steps: 3}}
style: {count: 16, refresh: 0.5, decoder: {iterations: 40}}
model: {depth: 10}
train: {epochs: 8, period: 4, averaging: {start: 0.7}}
finetune:
  stages:
    - {open: 1, epochs: 3, learning_rate: 0.01, batch_norm: frozen}
    - {open: 2, epochs: 3, learning_rate: 0.01, batch_norm: train}
evaluate: {corruptions: [gaussian_noise, contrast], c_bar: [], severities: [3], bootstrap: 100}
fid: {n: 150, points: 3}
"""


def heeding_interrupts(words: list[str]) -> list[str]:
    """A Python command that minds SIGINT as in a terminal: a runner in the background has told its children not to."""
    first = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", first, sys.executable, *words]


class Repository:
    """A git and DVC repository with the project's tracked files, its parameters made tiny and committed."""

    def __init__(self, root: Path, overlay: str = TINY) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
        )
        for name in listed.stdout.splitlines():
            keep = name.startswith(("src/", "presets/")) or name in {
                "dvc.yaml",
                "params.yaml",
                ".dvcignore",
                ".gitignore",
            }
            if keep and (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        (root / "presets" / "tiny.yaml").write_text(f"# Made by a test\n{overlay}")
        self.run("git", "init", "-q")
        self.run("git", "config", "user.name", "tests")
        self.run("git", "config", "user.email", "tests@localhost")
        self.run(sys.executable, "-m", "dvc", "init", "-q")
        self.run(sys.executable, "-m", "dvc", "config", "core.analytics", "false")
        self.run(sys.executable, "-m", "impasto", "preset", "tiny")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "start")

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of a user's shell: the virtual environment first, nothing of DVC's or of ours."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "IMPASTO_", "MLFLOW_", "PYTEST_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return (
            kept
            | {"PATH": path, "PYTHONPATH": str(self.root / "src"), "IMPASTO_QUIET": "1", "IMPASTO_THREADS": "1"}
            | extra
        )

    def run(self, *words: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository."""
        done = subprocess.run(
            words, cwd=self.root, env=self.environment(**extra), capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def dvc(self, *words: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run DVC."""
        return self.run(sys.executable, "-m", "dvc", *words, check=check, **extra)

    def outputs(self) -> dict[str, Any]:
        """Path -> MD5 of every output in dvc.lock; times are left out."""
        import yaml

        stages = yaml.safe_load((self.root / "dvc.lock").read_text())["stages"].values()
        outs = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
        return {path: md5 for path, md5 in outs.items() if not path.startswith(("metrics/time", "report"))}
