"""Outputs that hold images, and whether ``dvc push`` may send them.

DVC sends no output with ``push: false`` anywhere, also not with ``--run-cache`` or as part of an experiment. The flag
is no parameter: it stands in dvc.yaml and changes no result. `impasto private` writes it, and a word into the command
of the stage ``check``: DVC restores a stage that ran before with the same command, parameters and code, and would not
ask again after a checkout of a dvc.yaml without the flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.io import atomic

IMAGES = ("data/raw/", "data/pool", "pictures/", "report")
"""How the names of outputs begin that hold originals, images made from them, or pictures of either."""

_FLAG = ": {push: false}"
_OPEN, _CLOSED = "} check --out", "} check --private --out"
"""How the command of the stage ``check`` begins."""


def open_outputs(pipeline: Path) -> list[str]:
    """The outputs in dvc.yaml that hold images and that ``dvc push`` sends.

    Raises:
        ImpastoError: the file is missing or is no YAML.
    """
    found = _outputs(read_yaml(pipeline))
    return [name for name, flags in found if _shows(name) and flags.get("push", True) and flags.get("cache", True)]


def require_private(pipeline: Path) -> None:
    """See that no image can reach a remote; without dvc.yaml nothing is sent.

    Raises:
        ImpastoError: names the outputs that would be sent, or the command that DVC would restore unmarked.
    """
    if not pipeline.exists():
        return
    if names := open_outputs(pipeline):
        what = f"`dvc push` would send {', '.join(names)}, whose images must not be passed on"
        raise ImpastoError(what, where=str(pipeline), remedy="Run `impasto private`, which marks them `push: false`.")
    if _OPEN in str(read_yaml(pipeline)["stages"].get("check", {}).get("cmd")):
        what = "the command of the stage check has no --private, so that DVC would not ask again without the marks"
        raise ImpastoError(what, where=str(pipeline), remedy="Run `impasto private`, or write it there by hand.")


def mark(pipeline: Path, private: bool) -> list[str]:
    """Write the flag to every output that holds images, or take it away; all else but a word of ``check`` stays.

    Returns:
        The names of what was changed: of outputs, and of the stage ``check`` where it alone lacked the word.

    Raises:
        ImpastoError: dvc.yaml is written in another way than ``outs: [NAME, ..]``; it stays as it was.
    """
    before, tree = pipeline.read_text(encoding="utf-8"), read_yaml(pipeline)
    names = [name for name, _ in _outputs(tree) if _shows(name)]
    changed = [name for name in names if (name in open_outputs(pipeline)) == private]

    def flagged(match: re.Match[str]) -> str:
        text = match[0]
        for name in changed:
            old, new = (name, name + _FLAG) if private else (name + _FLAG, name)
            text = re.sub(rf"(?<=[\[ ]){re.escape(old)}(?=[,\]])", new, text)
        return text

    with atomic(pipeline) as part:
        after = re.sub(r"^    outs: \[[^\]]*\]", flagged, before, flags=re.MULTILINE)
        after = after.replace(_OPEN, _CLOSED) if private else after.replace(_CLOSED, _OPEN)
        part.write_text(after, encoding="utf-8")
        if set(open_outputs(part)) != (set() if private else set(names)):
            what = f"the outputs {', '.join(changed)} are not written as `outs: [NAME, ..]`"
            raise ImpastoError(what, where=str(pipeline), remedy="Give them `push: false` by hand.")
    return changed or ["check"] * (after != before)


def _shows(name: str) -> bool:
    return name.startswith(IMAGES)


def _outputs(tree: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for stage in tree["stages"].values():
        for entry in stage.get("outs", ()):
            yield from entry.items() if isinstance(entry, Mapping) else [(entry, {})]
