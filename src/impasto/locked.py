"""Whether an output on disk is the one that ``dvc.lock`` records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.io import missing


def require_recorded(path: Path, lock: Path = Path("dvc.lock")) -> None:
    """See that a file or folder is what the last run of its stage wrote.

    Args:
        path: an output of a stage, as dvc.yaml names it.
        lock: the file that ``dvc repro`` writes.

    Raises:
        ImpastoError: it is missing, or it is another one, or no stage has recorded it.
    """
    if not path.exists():
        raise missing(path)
    stages = read_yaml(lock)["stages"].values()
    recorded = {out["path"]: out.get("md5") for stage in stages for out in stage.get("outs", ())}
    if recorded.get(path.as_posix()) != dvc_md5(path):
        what = f"{path} is not what {lock} records"
        raise ImpastoError(what, where=str(path), remedy="Run `dvc repro`, or `dvc checkout` to have that back.")


def dvc_md5(path: Path) -> str:
    """The MD5 by which DVC knows a file; of a folder that of the JSON list of its files, with ``.dir`` behind it."""
    if path.is_file():
        return _md5(path.read_bytes())
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listed = [{"md5": _md5(files[name].read_bytes()), "relpath": name} for name in sorted(files)]
    return _md5(json.dumps(listed, sort_keys=True).encode()) + ".dir"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
