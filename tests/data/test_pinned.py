"""Files without a published checksum: pinned once, held against the pin after."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from impasto.data.pinned import pin, pin_of, verify
from impasto.errors import ImpastoError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pool.npz"
    path.write_bytes(b"content")
    verify(path)
    assert not pin_of(path).exists()
    pin(path)
    return path


def test_the_pin_is_what_sha256sum_says(file: Path) -> None:
    want = {"size": 7, "sha256": hashlib.sha256(b"content").hexdigest()}
    assert pin_of(file) == file.parent / "pool.npz.pin.json" and json.loads(pin_of(file).read_text()) == want


def test_the_same_file_holds(file: Path) -> None:
    before = pin_of(file).stat().st_mtime_ns
    file.unlink()
    file.write_bytes(b"content")  # fetched anew
    verify(file)
    pin(file)
    assert pin_of(file).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("content", "told"), [(b"CONTENT", hashlib.sha256(b"CONTENT").hexdigest()), (b"longer content", "14 bytes")]
)
def test_another_file_is_named(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ImpastoError, match=rf"pool.npz has .*{told}, but pool.npz.pin.json says 7 bytes, sha256 "):
            verify(file)
    pin_of(file).unlink()
    verify(file)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"size": "7", "sha256": "a"}', '{"size": 7}'])
def test_a_pin_that_is_none(file: Path, content: str) -> None:
    pin_of(file).write_text(content)
    with pytest.raises(ImpastoError, match="pool.npz.pin.json (is no JSON|holds no size and sha256)"):
        verify(file)
