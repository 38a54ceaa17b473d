"""A folder in which a search takes seconds, as the current folder and the repository's root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from impasto.tracking.search import SearchRun
from impasto.tuning import segment
from impasto.tuning.results import Done
from impasto.tuning.run import carry_out, prepare
from impasto.tuning.workers import Here, Workers
from searchable import prepare_search

Find = Callable[..., list[Done]]


@pytest.fixture
def searchable(root: Path) -> Callable[..., Path]:
    """Furnishes the folder with other leaves and gives its params.yaml."""
    segment._opened.clear()
    return lambda **leaves: prepare_search(root, **leaves)


@pytest.fixture
def find(root: Path) -> Find:
    """Runs what params.yaml says in this process, untracked."""

    def found(workers: Workers | None = None, **_: Any) -> list[Done]:
        return carry_out(prepare(root, root / "params.yaml"), workers or Here(), SearchRun(None), 1, lambda done: None)

    return found
