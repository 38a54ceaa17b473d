"""Stages as users start them: the command lines of dvc.yaml, in a process of their own, with settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tiny import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def words(stage: str) -> list[str]:
    """The command line of dvc.yaml, without Python."""
    options = re.findall(r"(--[\w-]+) ([\w/.]+)", PIPELINE[stage]["cmd"])
    return ["-m", "impasto.stages", stage, *(word for option in options for word in option)]


def environment(root: Path, **settings: object) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "IMPASTO_", "MLFLOW_"))}
    own = {"DEVICE": "cpu", "THREADS": "1", "QUIET": "1", "LOG_MODEL": "never"} | settings
    return kept | {"DVC_ROOT": str(root), "PYTHONPATH": "src"} | {f"IMPASTO_{k}": str(v) for k, v in own.items()}


def call(root: Path, *command: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=environment(root, **settings),
        capture_output=True,
        text=True,
        check=False,
    )


def done(root: Path, *command: str, **settings: object) -> str:
    found = call(root, *command, **settings)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stderr


def prepare(root: Path, *stages: str) -> None:
    """Run stages one after the other in one process, which imports once what they share."""
    lines = ["from importlib import import_module", "from pathlib import Path"]
    for stage in stages:
        given = words(stage)[3:]
        options = {name[2:].replace("-", "_"): value for name, value in zip(given[::2], given[1::2], strict=True)}
        lines += [f"options = {{name: Path(value) for name, value in {options}.items()}}"]
        lines += [f"import_module('impasto.stages.{stage}').{stage}(**options)"]
    done(root, "-c", "\n".join(lines))
