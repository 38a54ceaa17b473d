"""Which execution of the pipeline a run belongs to, and what distinguishes it: nothing here needs MLflow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from impasto.config.base import flatten
from impasto.errors import ImpastoError
from impasto.io import digest

PARAMS = "params.yaml"
LOCK = "dvc.lock"
_RESULTS = (PARAMS, LOCK, "metrics")  # what a run itself rewrites, or what is logged in full anyway


class Execution(NamedTuple):
    """One execution of the pipeline: all its stages, and nothing else, share its key.

    Parameters are immutable in MLflow, so they are part of the key: another value is another row.
    """

    baseline: str
    """The git revision that it started from, 40 hex digits, or ``"none"`` outside git."""
    name: str
    """The name of the DVC experiment, or ``"workspace"`` for a plain ``dvc repro``."""
    params: Mapping[str, Any]
    """The values of ``params.yaml``, nested as they stand there."""

    @property
    def key(self) -> str:
        """16 hex digits; comments and the order of keys in ``params.yaml`` do not change them."""
        return digest(self.baseline, self.name, self.params)

    def tags(self) -> dict[str, str]:
        """The tags by which MLflow finds the execution again, seeds included."""
        seeds = {name: as_text(self.params[name]) for name in ("seed", "seeds") if name in self.params}
        return seeds | {
            "impasto.execution": self.key,
            "impasto.params": digest(self.params),
            "dvc.experiment": self.name,
            "dvc.baseline": self.baseline,
        }


def current() -> Execution:
    """The execution that this process is a stage of: DVC names its experiment in the environment."""
    baseline = os.environ.get("DVC_EXP_BASELINE_REV") or git("rev-parse", "--verify", "HEAD") or "none"
    params = parse_yaml(Path(PARAMS).read_bytes())
    return Execution(baseline, os.environ.get("DVC_EXP_NAME") or "workspace", params)


def experiment_name(params: Mapping[str, Any]) -> str:
    """The MLflow experiment of an execution: one per dataset."""
    dataset = params.get("dataset") or {}
    return f"impasto {dataset.get('name', '')} {Path(str(dataset.get('root') or '')).name}".strip()


def code_tags() -> dict[str, str]:
    """Revision of the code, and whether files differ from it other than parameters, lock and metrics."""
    revision = git("rev-parse", "--verify", "HEAD")
    if not revision:
        return {"git.revision": "none"}
    changes = git("status", "--porcelain", "--", ".", *(f":(exclude){name}" for name in _RESULTS))
    return {"git.revision": revision, "git.dirty": as_text(bool(changes)), "mlflow.source.git.commit": revision}


def input_tags(inputs: Mapping[str, Path]) -> dict[str, str]:
    """One tag ``input.NAME`` per input: the digest of its content, without reading large folders.

    Inside a DVC stage it is the MD5 that DVC has just written to ``dvc.lock``; elsewhere the digest
    of a folder's ``meta.json``, which itself holds the digests of its arrays, or of the bytes.
    """
    lock = Path(LOCK)
    known = locked_outputs(parse_yaml(lock.read_bytes())) if "DVC_STAGE" in os.environ and lock.exists() else {}
    return {f"input.{name}": known.get(path.as_posix()) or content_digest(path) for name, path in inputs.items()}


def content_digest(path: Path) -> str:
    """16 hex digits for a file's bytes, or for a folder's ``meta.json`` or else its files; or ``"missing"``."""
    meta = path / "meta.json"
    if meta.is_file():
        return digest(meta)
    return digest(path) if path.exists() else "missing"


def locked_outputs(lock: Mapping[str, Any]) -> dict[str, str]:
    """The MD5 of every output that a ``dvc.lock`` records, by path."""
    stages = (lock.get("stages") or {}).values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ()) if "md5" in out}


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numeric leaves of nested mappings, flattened: what MLflow can hold as metrics."""
    numeric = ((n, v) for n, v in flatten(values) if isinstance(v, int | float) and not isinstance(v, bool))
    return {name: float(value) for name, value in numeric}


def as_text(value: Any) -> str:
    """A value as one would type it in ``params.yaml``: ``true``, ``null``, ``0.5``, ``[0, 1]``, bare strings."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def parse_yaml(text: bytes) -> dict[str, Any]:
    """The mapping that a YAML 1.2 document holds; empty for an empty document.

    Raises:
        ImpastoError: the text is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise ImpastoError(f"no YAML: {problem}", where=f"{PARAMS} or {LOCK}", remedy="Correct the file.") from error


def git(*arguments: str, root: Path | None = None) -> str:
    """What ``git`` prints, stripped; empty where there is no git, no repository or no such object."""
    return git_bytes(*arguments, root=root).decode(errors="replace").strip()


def git_bytes(*arguments: str, root: Path | None = None) -> bytes:
    """The same as bytes, as they are: for the content of files."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""
