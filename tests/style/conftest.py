"""What the style tests share: a small random encoder, pictures, and where a fit keeps its state."""

from __future__ import annotations

from pathlib import Path

import pytest
from style_doubles import RandomEncoder, pictures
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.config.style import Decoder as Settings


@pytest.fixture
def encoder() -> RandomEncoder:
    return RandomEncoder()


@pytest.fixture
def settings() -> Settings:
    return Settings(
        source="fitted",
        weights=None,
        iterations=6,
        batch=8,
        learning_rate=1e-3,
        style_weight=10.0,
        reconstruction_weight=10.0,
    )


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resume:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return Resume("style-decoder", "test")


@pytest.fixture
def images() -> Tensor:
    return pictures(12)


@pytest.fixture
def styles() -> Tensor:
    return pictures(5, side=24, seed=1)
