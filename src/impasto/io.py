"""Whole files or none: everything that impasto writes goes through a temporary name and a rename."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import ImpastoError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; on success fsync it and rename it to ``path``.

    Raises:
        ImpastoError: the folder cannot be written or the disk is full. The old file stays as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ImpastoError(
            f"cannot write {path}: {error.strerror or error}",
            where=str(path.parent),
            remedy="Free some space or make the folder writable, then run the command again.",
        ) from error
    finally:
        with suppress(OSError):  # renamed by now, or its folder is none
            part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and a final newline: the same value gives the same bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ImpastoError: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise missing(path) from error
    except ValueError as error:
        raise ImpastoError(
            f"{path} is no JSON: {error}", where=str(path), remedy=f"Delete it and run {_RERUN}."
        ) from error


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Write details of a result, as a JSON list of one record.

    DVC restores such a file with the stage's other results only if it is declared a metric, and `dvc exp show` would
    make a column of every number in it; from a list it makes none.
    """
    write_json(path, [value])


def read_record(path: Path) -> dict[str, Any]:
    """Read what :func:`write_record` wrote.

    Raises:
        ImpastoError: the file is missing or is no such record.
    """
    found = read_json(path)
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise ImpastoError(f"{path} is no list of one record", where=str(path), remedy=f"Delete it and run {_RERUN}.")
    return found[0]


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write dictionaries as a CSV table with a header row."""
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV table into one dictionary of strings per row."""
    if not path.exists():
        raise missing(path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``."""
    with atomic(path) as part, part.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_npy(path: Path) -> np.ndarray:
    """Open an ``.npy`` file as a read-only memory map.

    Raises:
        ImpastoError: the file is missing or is no ``.npy`` array.
    """
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise missing(path) from error
    except Exception as error:  # a damaged header can raise anything: it is a Python expression
        raise ImpastoError(
            f"{path} is truncated or no array: {reason(error)}", where=str(path), remedy=f"Delete it and run {_RERUN}."
        ) from error
    return array


def one_line(text: object, limit: int = 200) -> str:
    """What a file or another's error says, for a message: one line of ``limit`` characters at most."""
    line = " ".join(str(text)[: 4 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def reason(error: BaseException) -> str:
    """Why a foreign parser refused a file, in one short line; its kind where it says nothing."""
    return one_line(error) or type(error).__name__


def digest(*parts: Any) -> str:
    """Hex digest (16 characters) of values and files; a ``Path`` stands for its bytes, a folder for its files'."""
    sha = hashlib.sha256()
    for part in parts:
        for chunk in _chunks(part):
            sha.update(chunk)
        sha.update(b"\x1e")
    return sha.hexdigest()[:16]


def missing(path: Path) -> ImpastoError:
    """The error for an input file that is not there."""
    return ImpastoError(
        f"{path} does not exist", where=str(path), remedy=f"Run {_RERUN}: it makes every missing input."
    )


_RERUN = "`dvc repro`"


def _chunks(part: Any) -> Iterator[bytes]:
    if not isinstance(part, Path):
        yield json.dumps(part, sort_keys=True, default=str).encode()
    elif part.is_dir():
        for inner in sorted(p for p in part.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            # The size marks where a content ends: "a" with "bc" is not "ab" with "c".
            yield f"{inner.relative_to(part).as_posix()}\0{inner.stat().st_size}\0".encode()
            yield from _chunks(inner)
    else:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                yield block
