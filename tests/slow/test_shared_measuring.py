"""The stages that measure, on several processes: the bytes of one, however they are started, killed and gone on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from furnished import SMALL, furnish
from launched import PIPELINE, TORCHRUN, call, done, environment, prepare, words
from repository import heeding_interrupts
from tiny import change

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

BEFORE = ("check", "download", "split", "generate", "select", "style", "train", "finetune")
CORRUPTIONS = ["gaussian_noise", "shot_noise", "contrast", "brightness", "pixelate", "jpeg_compression"]


def outputs(stage: str) -> list[str]:
    """What dvc.yaml says that it writes, without its times."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in PIPELINE[stage].get(kind, ())]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [path for path in paths if "/time/" not in path]


def contents(root: Path, stage: str) -> dict[str, bytes]:
    """The files of a stage's outputs."""
    found = [root / path for path in outputs(stage)]
    files = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    assert len(files) >= len(found) >= 3
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the two stages read, and what one process makes of it: some 31 cells and 101 points."""
    root = tmp_path_factory.mktemp("made")
    furnish(root, SMALL)
    changes = {"evaluate__corruptions": CORRUPTIONS, "evaluate__severities": [1, 2, 3, 4, 5], "fid__points": 101}
    change(root / "params.yaml", seeds=[0], **changes)
    prepare(root, *BEFORE)
    for stage in ("fid", "evaluate"):
        done(root, *words(stage))
    return root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """The same folder, before the two stages."""
    leave = shutil.ignore_patterns(".resume", "mlflow.db", "__pycache__")
    home = Path(shutil.copytree(made, tmp_path / "home", ignore=leave))
    for path in (home / path for stage in ("fid", "evaluate") for path in outputs(stage)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return home


def parts(home: Path) -> dict[str, int]:
    """The files of kept parts and when they were written."""
    return {file.name: file.stat().st_mtime_ns for file in home.glob(".resume/*/parts-*.pt")}


def begun(home: Path, stage: str, processes: int) -> subprocess.Popen[str]:
    """The stage as it runs, when it has saved some parts."""
    settings = environment(home, PROCESSES=processes, SAVE_SECONDS=1e-9)
    running = subprocess.Popen(
        heeding_interrupts(words(stage)), cwd=home, env=settings, stderr=subprocess.PIPE, text=True
    )
    while len(parts(home)) < 4:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)
    return running


@pytest.mark.parametrize("stage", ["fid", "evaluate"])
@pytest.mark.parametrize("processes", [2, 4])
def test_the_bytes_are_those_of_one_process(made: Path, home: Path, stage: str, processes: int) -> None:
    assert not done(home, *words(stage), PROCESSES=processes), "it has something to say"
    assert contents(home, stage) == contents(made, stage)


@pytest.mark.parametrize("stage", ["fid", "evaluate"])
def test_under_torchrun(made: Path, home: Path, stage: str) -> None:
    done(home, *TORCHRUN, "2", "-m", f"impasto.stages.{stage}", *words(stage)[3:])
    assert contents(home, stage) == contents(made, stage)


@pytest.mark.parametrize(
    ("stage", "before", "after"), [("fid", 2, 1), ("fid", 1, 2), ("evaluate", 2, 4), ("evaluate", 1, 2)]
)
def test_a_killed_process_ends_all_and_another_number_goes_on(
    made: Path, home: Path, stage: str, before: int, after: int
) -> None:
    """What was saved is not made again, and the end is that of one process."""
    running = begun(home, stage, before)
    children = psutil.Process(running.pid).children()
    victim = [child for child in children if child.environ().get("RANK") == "1"] or [psutil.Process(running.pid)]
    victim[0].kill()
    said = running.communicate(timeout=120)[1]
    if before > 1:
        assert running.returncode == 2 and said.count("\n") == 1, said
        assert said.startswith(f"error: process 1 of {before} was killed by SIGKILL") and "goes on" in said
    assert not any(child.is_running() for child in children)
    assert not (home / outputs(stage)[0]).exists(), "it was killed too late to prove anything"
    kept = parts(home)
    assert not done(home, *words(stage), PROCESSES=after, SAVE_SECONDS=1e-9)
    assert contents(home, stage) == contents(made, stage)
    assert {name: written for name, written in parts(home).items() if name in kept} == kept
    assert len(parts(home)) > len(kept)


@pytest.mark.parametrize("stage", ["fid", "evaluate"])
def test_an_interrupt_is_told_once(home: Path, stage: str) -> None:
    running = begun(home, stage, 2)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 130 and said.count("\n") == 1 and "interrupted" in said, said


def test_a_fault_of_another_process_is_told_once(home: Path) -> None:
    """All of them miss the models, and the first one says so."""
    shutil.rmtree(home / "models" / "tuned")
    found = call(home, *words("evaluate"), PROCESSES=2)
    assert found.returncode == 2 and found.stderr.count("\n") == 1 and "models/tuned" in found.stderr
