"""The stages that train, on several processes: by a setting, under torchrun, killed, gone on with another number."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from furnished import SMALL, furnish
from impasto.io import read_csv, read_record
from launched import TORCHRUN, call, done, environment, words
from repository import heeding_interrupts
from tiny import change

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that training needs, and the model of one process."""
    root = tmp_path_factory.mktemp("made")
    furnish(root, SMALL)
    smooth = {"model__activation": "silu", "model__dropout": 0.2, "train__precision": "fp32"}  # kinks amplify rounding
    change(root / "params.yaml", seeds=[0], train__epochs=6, train__learning_rate=0.02, **smooth)
    for stage in ("check", "download", "split", "generate", "select", "style", "train"):
        done(root, *words(stage))
    return root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """The same folder, before training."""
    leave = shutil.ignore_patterns("base", ".resume", "mlflow.db", "__pycache__")
    return Path(shutil.copytree(made, tmp_path / "home", ignore=leave))


def same(home: Path, made: Path, file: str = "models/base/0/model.safetensors") -> None:
    """The weights and the curve of one process, up to rounding."""
    torch.testing.assert_close(load_file(home / file), load_file(made / file), rtol=1e-2, atol=1e-3)
    rows, wanted = (read_csv(root / "metrics" / "train.csv") for root in (home, made))
    assert len(rows) == len(wanted) == 6
    for row, other in zip(rows, wanted, strict=True):
        assert float(row["loss"]) == pytest.approx(float(other["loss"]), rel=1e-4)
        assert row["share_stylised_s"] == other["share_stylised_s"]


def train(home: Path, processes: int, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        heeding_interrupts(words("train")),
        cwd=home,
        env=environment(home, PROCESSES=processes, SAVE_SECONDS=1e-9, **settings),
        stderr=subprocess.PIPE,
        text=True,
    )


def state(home: Path, epochs: int = 1) -> dict[str, object]:
    """What a run that is going on has saved, once it has done so many epochs."""
    for _ in range(3000):
        files = list(home.glob(".resume/train-*/state.pt"))
        found = torch.load(files[0], weights_only=True) if files else {"history": []}
        if len(found["history"]) >= epochs:
            return found
        time.sleep(0.1)
    raise AssertionError("nothing was saved")


@pytest.mark.parametrize("processes", [2, 4])
def test_by_a_setting(made: Path, home: Path, processes: int) -> None:
    """The command of dvc.yaml, unchanged; one process writes and logs for all."""
    assert not done(home, *words("train"), PROCESSES=processes)
    same(home, made)
    assert read_record(home / "metrics" / "time" / "train.json")["threads"] == 1
    assert not list(home.rglob("*.part"))
    assert not done(home, *words("finetune"), PROCESSES=processes)
    assert (home / "models" / "tuned" / "0" / "model.safetensors").exists()


@pytest.mark.parametrize("processes", [2, 4])
def test_under_torchrun(made: Path, home: Path, processes: int) -> None:
    """Both forms of naming a stage; another stage is done by the first process alone."""
    module = [f"impasto.stages.{words('train')[2]}", *words("train")[3:]]
    done(home, *TORCHRUN, str(processes), "-m", *module)
    same(home, made)
    shutil.rmtree(home / "data" / "split")
    done(home, *TORCHRUN, str(processes), *words("split"), QUIET="0")
    done(home, *words("split"), PROCESSES=2)
    assert (home / "data" / "split" / "train.npy").read_bytes() == (made / "data/split/train.npy").read_bytes()


@pytest.mark.parametrize(("before", "after"), [(2, 1), (2, 4), (1, 2)])
def test_a_killed_process_ends_all_and_another_number_goes_on(made: Path, home: Path, before: int, after: int) -> None:
    change(home / "params.yaml", train__epochs=300)
    running = train(home, before)
    kept = state(home, 2)
    children = psutil.Process(running.pid).children()
    victim = [child for child in children if child.environ().get("RANK") == "1"] or [psutil.Process(running.pid)]
    victim[0].kill()
    said, code = running.communicate(timeout=120)[1], running.returncode
    if before > 1:
        assert code == 2 and said.count("\n") == 1, said
        assert said.startswith("error: process 1 of 2 was killed by SIGKILL") and "goes on" in said
    assert not any(child.is_running() for child in children)
    [file] = home.glob(".resume/train-*/state.pt")
    kept = torch.load(file, weights_only=True)
    again = train(home, after)
    assert len(state(home, len(kept["history"]) + 2)["history"]) >= len(kept["history"]) + 2
    found = state(home, len(kept["history"]) + 2)["history"]
    assert found[: len(kept["history"])] == kept["history"], "the rows are those of the run that was killed"
    again.send_signal(signal.SIGINT)
    said = again.communicate(timeout=120)[1]
    assert again.returncode == 130 and said.count("\n") == 1 and "interrupted" in said, said


def test_killed_and_gone_on_ends_where_one_process_does(made: Path, home: Path) -> None:
    """A resume point after half of the epochs, of one process, taken up by two."""
    running = train(home, 1)
    state(home, 2)
    running.kill()
    running.communicate()
    kept = state(home, 2)["history"]
    assert len(kept) < 6, "it was killed too late to prove anything"
    assert not done(home, *words("train"), PROCESSES=2)
    same(home, made)
    rows = read_csv(home / "metrics" / "train.csv")
    assert [float(row["loss"]) for row in rows][: len(kept)] == [row["loss"] for row in kept]


def test_those_whose_launcher_is_killed_end_too(home: Path) -> None:
    change(home / "params.yaml", train__epochs=300)
    running = train(home, 2)
    state(home)
    children = psutil.Process(running.pid).children()
    assert len(children) == 2
    running.kill()
    running.communicate(timeout=60)
    alive = psutil.wait_procs(children, timeout=30)[1]
    assert not alive


def test_a_fault_is_told_once(home: Path) -> None:
    shutil.rmtree(home / "data" / "pool")
    found = call(home, *words("train"), PROCESSES=2)
    assert found.returncode == 2 and found.stderr.count("\n") == 1 and "data/pool does not exist" in found.stderr
