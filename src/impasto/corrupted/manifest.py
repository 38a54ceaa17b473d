"""The file that a corrupted set made by impasto carries: how it was made, and what each of its parts must be."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError
from impasto.io import read_json, write_json

NAME = "impasto.json"


@dataclass(frozen=True)
class Part:
    """One corruption on disk.

    Attributes:
        files: number of files.
        bytes: their size, together.
        md5: checksum of their content, in the order of writing.
    """

    files: int
    bytes: int
    md5: str


@dataclass
class Manifest:
    """How a set was made. Two sets with equal :meth:`origin` are equal in every byte on the same libraries.

    Attributes:
        seed: of all draws.
        table: whose severity constants.
        severities: ascending.
        layout: ``npy`` or ``folders``.
        images: digest of the clean images and labels.
        source: where the clean images come from, in words.
        classes: their names.
        counts: clean images of each class.
        version: of impasto.
        code: digest of the corruptions' code.
        libraries: versions that decide the last bits, for the record.
        labels: the file of the labels; None in folders, which need none.
        corruptions: what is finished.
    """

    seed: int
    table: str
    severities: tuple[int, ...]
    layout: str
    images: str
    source: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    version: str
    code: str
    libraries: dict[str, str] = field(default_factory=dict)
    labels: Part | None = None
    corruptions: dict[str, Part] = field(default_factory=dict)

    def origin(self) -> dict[str, Any]:
        """What must agree before two runs may write into one folder."""
        keys = ("seed", "table", "severities", "layout", "images", "version", "code")
        return {key: getattr(self, key) for key in keys}

    def save(self, root: Path) -> None:
        """Write it into the set's folder."""
        write_json(root / NAME, {"made_by": "impasto", "official": False, **asdict(self)})


def load(root: Path) -> Manifest | None:
    """The manifest of the set in ``root``; None where there is none.

    Raises:
        ImpastoError: it is damaged.
    """
    path = root / NAME
    if not path.exists():
        return None
    remedy = "Delete the folder and make the set again."
    try:
        facts = {key: value for key, value in read_json(path).items() if key not in {"made_by", "official"}}
        facts |= {key: tuple(facts[key]) for key in ("severities", "classes", "counts")}
        facts["labels"] = facts.get("labels") and Part(**facts["labels"])
        facts["corruptions"] = {name: Part(**part) for name, part in facts["corruptions"].items()}
        return Manifest(**facts)
    except ImpastoError as error:
        raise ImpastoError(error.what, where=str(path), remedy=remedy) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ImpastoError(f"{path} is no manifest of a set", where=str(path), remedy=remedy) from error


def measure(root: Path) -> Part:
    """What ROOT/SEVERITY/CLASS/ROW.JPEG hold, whichever of them are there, in the order of severities and rows."""
    files = sorted((path for path in root.rglob("*") if path.is_file()), key=lambda path: _place(path, root))
    md5, total = hashlib.md5(usedforsecurity=False), 0
    for file in files:
        content = file.read_bytes()
        md5.update(content)
        total += len(content)
    return Part(len(files), total, md5.hexdigest())


def _place(path: Path, root: Path) -> tuple[str, str]:
    """Severity and row; rows have the same number of digits."""
    return path.relative_to(root).parts[0], path.name


def require_same(old: Manifest, new: Manifest, root: Path) -> None:
    """Refuse to mix.

    Raises:
        ImpastoError: ``old`` and ``new`` describe different sets; names every difference.
    """
    before, now = old.origin(), new.origin()
    lines = [f"{key} {_plain(before[key])} instead of {_plain(now[key])}" for key in now if before[key] != now[key]]
    if lines:
        remedy = "Name another folder with --out, or delete this one."
        raise ImpastoError(f"{root} holds a set made with {'; '.join(lines)}", where=str(root), remedy=remedy)


def _plain(value: int | str | Sequence[int]) -> str:
    return str(value) if isinstance(value, int | str) else ",".join(map(str, value))
