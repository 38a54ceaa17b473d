"""What trials read, data and code, and how a worker sees that it has the same as the machine that calls it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.io import digest, read_json

CODE = "src"
_PACKAGE = Path(__file__).parents[1]


def contents(root: Path, inputs: Mapping[str, str]) -> dict[str, str]:
    """Digests of what trials read, by path; the code's is that of the package that is running.

    A folder of images is known by its ``meta.json``, which holds the digest of its arrays; any other by its files.

    Args:
        root: the repository.
        inputs: paths by name, relative to the root.
    """
    return {path: _content(root / path) for path in inputs.values()} | {CODE: _code(root / "dvc.yaml")}


def require_same(root: Path, inputs: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """See that this machine has what the search was called with.

    Args:
        root: the repository.
        inputs: paths by name, relative to the root.
        wanted: what :func:`contents` said where the search was called.

    Raises:
        ImpastoError: something is missing here, or is another one; names the machine.
    """
    found = contents(root, inputs)
    missing = [path for path, content in found.items() if content == _MISSING]
    others = missing or [path for path, content in found.items() if wanted[path] != content]
    if others:
        fault = "missing" if missing else "not what the search was called with"
        what = f"{', '.join(others)} of {root} {'is' if len(others) == 1 else 'are'} {fault}"
        remedy = "Have the same commit there, and the same data by `dvc pull`: see docs/scale.md."
        raise ImpastoError(what, where=f"the machine {socket.gethostname()}", remedy=remedy)


_MISSING = "missing"


def _content(path: Path) -> str:
    if not path.exists():
        return _MISSING
    meta = path / "meta.json"
    return digest(meta if meta.is_file() and "digest" in read_json(meta) else path)


def _code(pipeline: Path) -> str:
    """Of all modules that the stage train imports, and of the search."""
    deps = [Path(dep).relative_to("src/impasto") for dep in read_yaml(pipeline)["stages"]["train"]["deps"]
            if dep.startswith("src/impasto/")]  # fmt: skip
    return digest(*(_PACKAGE / dep for dep in deps if (_PACKAGE / dep).exists()), Path(__file__).parent)
