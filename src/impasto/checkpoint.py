"""Resume points: what a killed run needs to go on, kept outside DVC's outputs.

DVC deletes a stage's outputs before it runs the stage again, so the state of an unfinished run lives
under ``$DVC_ROOT/.resume``, in a folder keyed by a digest of parameters, inputs and code. Another
parameter is another key: a resumed run can never pick up the state of a different one.
"""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from impasto.io import atomic, digest
from impasto.runtime import runtime
from impasto.workspace import main_root


class Resume:
    """The resume point of one loop.

    Args:
        name: stage and purpose, e.g. ``"train-0"``.
        parts: everything that decides the result (see :func:`impasto.io.digest`).
    """

    def __init__(self, name: str, *parts: Any) -> None:
        self.folder: Path = main_root() / ".resume" / f"{name}-{digest(*parts)}"
        self._file = self.folder / "state.pt"
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The last saved state, tensors on the CPU, or None when there is none."""
        if not self._file.exists():
            return None
        state: dict[str, Any] = torch.load(self._file, map_location="cpu", weights_only=True)
        return state

    def due(self) -> bool:
        """Whether the last save lies so far back that another is due (IMPASTO_SAVE_SECONDS)."""
        return time.monotonic() - self._saved >= runtime().save_seconds

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of tensors, numbers, strings, lists and dictionaries, atomically."""
        content = io.BytesIO()  # a full disk is an OSError for Python and an obscure RuntimeError for torch
        torch.save(state, content)
        with atomic(self._file) as part:
            part.write_bytes(content.getbuffer())
        self._saved = time.monotonic()

    def clear(self) -> None:
        """Forget the state: the stage's outputs are whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
