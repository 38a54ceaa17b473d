"""Resume points: where they lie, what they hold, when they are due."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from impasto.checkpoint import Resume
from impasto.errors import ImpastoError
from impasto.runtime import runtime


def test_a_state_comes_back(root: Path) -> None:
    resume = Resume("train-0", {"epochs": 3})
    assert resume.load() is None
    state = {"weights": {"a": torch.arange(3.0)}, "history": [{"loss": 0.5}], "name": "x", "none": None}
    resume.save(state)
    found = Resume("train-0", {"epochs": 3}).load()
    assert found is not None and torch.equal(found["weights"]["a"], state["weights"]["a"])  # type: ignore[index]
    assert {k: found[k] for k in ("history", "name", "none")} == {k: state[k] for k in ("history", "name", "none")}


def test_it_lies_in_the_root_that_dvc_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    assert Resume("a").folder.parent == root / ".resume"
    monkeypatch.delenv("DVC_ROOT")
    assert Resume("a").folder.parent == root / "elsewhere" / ".resume"


def test_other_parameters_inputs_or_code_are_another_point(root: Path) -> None:
    (root / "code.py").write_text("a = 1")
    parts = [({"a": 1}, root / "code.py"), ({"a": 2}, root / "code.py"), ({"a": 1},)]
    folders = [Resume("train", *some).folder for some in parts]
    (root / "code.py").write_text("a = 2")
    folders += [Resume("train", *parts[0]).folder, Resume("other", *parts[0]).folder]
    assert len(set(folders)) == 5
    assert Resume("train", *parts[0]).folder == folders[3]


def test_a_crash_while_saving_leaves_the_state_before(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resume = Resume("a")
    resume.save({"epoch": 1})

    def crash(path: Path, mode: str) -> None:
        with io.open(path, mode) as file:  # noqa: UP020  Path.open is this function now
            file.write(b"half a state")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "open", crash)
        resume.save({"epoch": 2})
    assert resume.load() == {"epoch": 1}
    assert [path.name for path in resume.folder.iterdir()] == ["state.pt"]


def test_a_folder_that_cannot_be_written(root: Path) -> None:
    (root / ".resume").write_text("not a folder")
    with pytest.raises(ImpastoError, match=r"cannot write .*state\.pt"):
        Resume("a").save({})


def test_due_after_the_seconds_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("impasto.checkpoint.time.monotonic", lambda: now[0])
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "5")
    runtime.cache_clear()
    resume = Resume("a")
    due = []
    for now[0] in (100.0, 104.9, 105.0):
        due.append(resume.due())
    resume.save({})
    assert due == [False, False, True] and not resume.due()


def test_two_processes_never_share_a_folder(root: Path) -> None:
    """A second one works in a folder of its own, and takes over when the first is gone, however it went."""
    script = (
        "import sys, impasto.checkpoint as c; r = c.Resume('a'); r.save({}); print(r.folder.name, flush=True); input()"
    )
    words = [sys.executable, "-c", script]
    first = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    name = first.stdout.readline().strip()
    private = Resume("a").folder.name
    assert private.startswith(f"{name}.") and private != name
    first.kill()
    first.communicate()
    assert Resume("a").folder.name == name


def test_a_damaged_state_is_told_and_ignored(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume = Resume("a")
    resume.save({"epoch": 1})
    file = resume.folder / "state.pt"
    file.write_bytes(file.read_bytes()[:200])
    assert resume.load() is None
    assert "is damaged" in capsys.readouterr().err


def test_pickled_code_is_not_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume = Resume("a")
    resume.folder.mkdir(parents=True)
    torch.save({"bad": Path("x")}, resume.folder / "state.pt")
    assert resume.load() is None
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_the_state_before(root: Path) -> None:
    resume = Resume("a")
    resume.save({"epoch": 1})
    with pytest.raises(ImpastoError, match=r"cannot write .*state\.pt"):
        resume.save({"weights": torch.zeros(9000)})
    assert resume.load() == {"epoch": 1}
