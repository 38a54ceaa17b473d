"""A run that is killed, again and again, ends in the same bytes as one that is not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from repository import Repository, heeding_interrupts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
OFTEN = {"IMPASTO_SAVE_SECONDS": "0.05", "IMPASTO_THREADS": "1"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    whole = Repository(tmp_path_factory.mktemp("whole"))
    whole.dvc("repro", **OFTEN)
    return whole


def start(repository: Repository) -> subprocess.Popen[str]:
    """``dvc repro`` as in a terminal."""
    command = heeding_interrupts(["-m", "dvc", "repro"])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(
        command, cwd=repository.root, env=repository.environment(**OFTEN), start_new_session=True, **pipes
    )


def wait_for(repository: Repository, stage: str, process: subprocess.Popen[str]) -> list[Path]:
    """Wait until a stage has saved a resume point."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        found = list((repository.root / ".resume").glob(f"{stage}-*/state.pt"))
        if found:
            return found
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.02)
    raise AssertionError(f"{stage} saved nothing")


def send(process: subprocess.Popen[str], number: signal.Signals) -> str:
    os.killpg(process.pid, number)
    return process.communicate(timeout=60)[0]


def test_kill_nine_in_every_long_stage(reference: Repository, tmp_path: Path) -> None:
    broken = Repository(tmp_path)
    chance = random.Random(0)
    for stage in ("generate", "style", "train", "finetune"):
        process = start(broken)
        wait_for(broken, stage, process)
        time.sleep(chance.random())
        send(process, signal.SIGKILL)
    broken.dvc("repro", **OFTEN)
    assert broken.outputs() == reference.outputs()
    assert not list((broken.root / ".resume").glob("*/state.pt")), "finished stages leave no state behind"


def test_interrupt_says_so_and_resumes(reference: Repository, tmp_path: Path) -> None:
    broken = Repository(tmp_path)
    process = start(broken)
    wait_for(broken, "train", process)
    said = send(process, signal.SIGINT)
    assert "interrupted: the same command goes on from the last saved point" in said
    assert "Traceback" not in said
    broken.dvc("repro", **OFTEN)
    assert broken.outputs() == reference.outputs()
