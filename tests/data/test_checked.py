"""Checksums that are computed once and not trusted for longer than the file stays."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from impasto.data import checked
from impasto.data.checked import LEDGER, fault_of, md5_of


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are really read."""
    names: list[str] = []
    digest = hashlib.file_digest

    def spy(file, kind):  # type: ignore[no-untyped-def]
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(checked.hashlib, "file_digest", spy)
    return names


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, hashed: list[str]) -> None:
    file = tmp_path / "fog.npy"
    file.write_bytes(b"clear")
    for _ in range(3):
        assert md5_of(file) == hashlib.md5(b"clear").hexdigest()
    assert hashed == ["fog.npy"]
    file.write_bytes(b"dense")  # of the same size
    os.utime(file, ns=(0, 12345))
    assert md5_of(file) == hashlib.md5(b"dense").hexdigest() and len(hashed) == 2
    md5_of(file)
    assert len(hashed) == 2


def test_files_of_a_folder_share_a_ledger(tmp_path: Path, hashed: list[str]) -> None:
    for name in ("a", "b", "a", "b"):
        (tmp_path / name).touch() if not (tmp_path / name).exists() else None
        md5_of(tmp_path / name)
    assert hashed == ["a", "b"]
    md5_of(tmp_path / "a", remember=False)
    (tmp_path / "c").touch()
    md5_of(tmp_path / "c", remember=False)
    assert '"c"' not in (tmp_path / LEDGER).read_text()


@pytest.mark.parametrize("text", ["", "[1]", '{"fog.npy": 7}', '{"fog.npy": [5, "x", null]}', "{"])
def test_a_damaged_ledger_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "fog.npy").write_bytes(b"clear")
    (tmp_path / LEDGER).write_text(text)
    assert md5_of(tmp_path / "fog.npy") == hashlib.md5(b"clear").hexdigest()


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fog.npy").write_bytes(b"clear")
    (tmp_path / LEDGER).mkdir()  # stands in the way, also of root
    assert md5_of(tmp_path / "fog.npy") == hashlib.md5(b"clear").hexdigest()


def test_faults_in_words(tmp_path: Path) -> None:
    file = tmp_path / "fog.npy"
    file.write_bytes(b"clear")
    right = hashlib.md5(b"clear").hexdigest()
    assert fault_of(file, 5, right) is fault_of(file, None, None) is fault_of(file, None, right) is None
    assert fault_of(file, 1234567, right) == "has 5 bytes, expected 1,234,567"
    assert fault_of(file, 5, "0" * 32) == f"has md5 {right}, expected {'0' * 32}"
