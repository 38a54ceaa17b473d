"""Files as a broken disk, a cut connection or a stranger leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st

from impasto.errors import ImpastoError

T = TypeVar("T")


def damaged(whole: bytes, edits: int = 3) -> st.SearchStrategy[bytes]:
    """The beginning of ``whole``, or all of it, with some bytes changed."""
    change = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255))
    return st.builds(_damage, st.just(whole), st.integers(0, len(whole)), st.lists(change, max_size=edits))


def read_or_fault(path: Path, content: bytes, read: Callable[[Path], T]) -> T | str:
    """What ``read`` makes of a file with this content, or the fault that it tells; other exceptions pass."""
    path.write_bytes(content)
    try:
        return read(path)
    except ImpastoError as error:
        return str(error)


def _damage(whole: bytes, lost: int, edits: list[tuple[int, int]]) -> bytes:
    content = bytearray(whole)
    for place, value in edits:
        content[place] = value
    return bytes(content[: len(content) - lost])
