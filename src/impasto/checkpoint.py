"""Resume points: what a killed run needs to go on, kept outside DVC's outputs.

DVC deletes a stage's outputs before it runs the stage again, so the state of an unfinished run lives
under ``$DVC_ROOT/.resume``, in a folder keyed by a digest of parameters, inputs and code. Another
parameter is another key: a resumed run can never pick up the state of a different one. Two processes
that do the same at once, as two workers of a queue may, never share a folder; those that compute one run
together (:mod:`impasto.ranks`) do: the first of them writes the state, each its own parts (:mod:`impasto.kept`).
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from impasto.io import atomic, digest
from impasto.runtime import first, runtime
from impasto.workspace import main_root

FOLDER = ".resume"
_DONE = "done"
_STATE = "state.pt"


class Resume:
    """The resume point of one loop.

    Args:
        name: stage and purpose, e.g. ``"train-0"``.
        parts: everything that decides the result (see :func:`impasto.io.digest`).

    Attributes:
        folder: holds the state, and whatever else the loop keeps. While another process holds it, a private one.
    """

    def __init__(self, name: str, *parts: Any) -> None:
        from impasto import ranks  # here: it needs torch, which takes seconds

        folder = ""
        if first():
            key = f"{name}-{digest(*parts)}"
            self._lock = FileLock(main_root() / FOLDER / "locks" / f"{key}.lock", is_singleton=True)
            folder = key if _acquired(self._lock) else f"{key}.{os.getpid()}"
        self.folder: Path = main_root() / FOLDER / ranks.told(folder)
        self._saved = time.monotonic()

    def load(self, name: str = _STATE, *, mapped: bool = False) -> dict[str, Any] | None:
        """The last saved state, tensors on the CPU, or None when there is none; a damaged one is told and left.

        Those of a ``mapped`` file are read when they are used.
        """
        file = self.folder / name
        if not file.exists():
            return None
        import torch  # here: tidying up needs it not, and it takes seconds

        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            print(f"warning: {file} is damaged ({reason}): starting from the beginning", file=sys.stderr)
            return None
        return state

    def due(self) -> bool:
        """Whether the last save lies so far back that another is due (IMPASTO_SAVE_SECONDS)."""
        return time.monotonic() - self._saved >= runtime().save_seconds

    def save(self, state: Mapping[str, Any], name: str = _STATE) -> None:
        """Save a state of tensors, numbers, strings, lists and dictionaries, atomically."""
        import torch

        content = io.BytesIO()  # a full disk is an OSError for Python and an obscure RuntimeError for torch
        torch.save(dict(state), content)
        with atomic(self.folder / name) as part, content.getbuffer() as view, part.open("wb") as file:
            file.write(view)  # not write_bytes, whose own view of the buffer would outlive an error
        self._saved = time.monotonic()

    def finish(self) -> None:
        """Mark the state as no longer needed: the outputs are whole, though DVC may not have recorded them yet.

        For the first process alone. It goes when the next stage starts (:func:`forget_finished`): a run that is killed
        before DVC has recorded this one finds it again.
        """
        if self.folder.is_dir():
            (self.folder / _DONE).touch()
        self._lock.release()


def forget_finished(stage: str) -> None:
    """Remove the finished states of all stages but ``stage``, which may be about to run again."""
    for mark in (main_root() / FOLDER).glob(f"*/{_DONE}"):
        if not mark.parent.name.startswith(f"{stage}-"):
            shutil.rmtree(mark.parent, ignore_errors=True)


def _acquired(lock: FileLock) -> bool:
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError:  # an unwritable disk: the first save says so
        return True
    return True
