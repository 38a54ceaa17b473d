"""What DVC's run cache refers to, sent to the remote: `dvc push --run-cache` sends the list of runs without it.

DVC sends the outputs of the workspace, or of commits, and of these only what git does not hold. A run with other
parameters that nobody has committed, and every metric of it, stays behind: another clone finds it in the list, and has
to run the stage again. So a workspace is made for the purpose, with the same cache and remote and every such output as
an output of its own, and pushed by DVC's own command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.private import IMAGES

_DVC = (sys.executable, "-m", "dvc")
_FACTS = ("md5", "hash", "size", "nfiles")


def share_runs(root: Path) -> int:
    """Push what the workspace holds, the list of runs, and all results of runs that are still in the cache.

    Args:
        root: a DVC repository with a default remote.

    Returns:
        How many outputs of runs the remote has now.

    Raises:
        ImpastoError: DVC cannot push; it has said why.
    """
    _push(root, "--run-cache")
    cache, settings = Path(_ask(root, "cache", "dir")), _ask(root, "config", "--list")
    found = results(cache, withheld(root / "dvc.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / ".dvc").mkdir()
        (place / ".dvc" / "config").write_text(configuration(settings, cache), encoding="utf-8")
        outs = [{"path": md5} | facts for md5, facts in found.items()]
        stages = {"runs": {"cmd": "false", "outs": list(found)}}
        lock = {"schema": "2.0", "stages": {"runs": {"cmd": "false", "outs": outs}}}
        (place / "dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
        (place / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")
        _push(place)
    return len(found)


def results(cache: Path, private: Collection[str]) -> dict[str, dict[str, Any]]:
    """Every output of every run in a DVC cache that is there: its MD5 -> what ``dvc.lock`` says of it.

    Args:
        cache: the folder.
        private: how the paths of outputs begin that are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((cache / "runs").glob("*/*/*")):
        for out in read_yaml(file).get("outs", ()):
            there = (cache / "files" / "md5" / out["md5"][:2] / out["md5"][2:]).exists()
            if there and not out["path"].startswith(tuple(private)):
                found[out["md5"]] = {name: out[name] for name in _FACTS if name in out}
    return found


def withheld(pipeline: Path) -> set[str]:
    """How the paths begin that ``dvc push`` leaves out: of each output with ``push: false``, and then of all images."""
    entries = [entry for stage in read_yaml(pipeline)["stages"].values() for entry in stage.get("outs", ())]
    flagged = {name for entry in entries if isinstance(entry, Mapping) for name, flags in entry.items() if _kept(flags)}
    return flagged | set(IMAGES) if flagged else set()


def configuration(settings: str, cache: Path) -> str:
    """A DVC configuration with the remotes that ``dvc config --list`` names, for a folder outside git."""
    sections: dict[str, list[str]] = {"core": ["no_scm = true", "analytics = false"], "cache": [f"dir = {cache}"]}
    for key, value in _pairs(settings):
        section, _, name = key.rpartition(".")
        kind, _, remote = section.partition(".")
        if kind == "remote":
            sections.setdefault(f"'remote \"{remote}\"'", []).append(f"{name} = {value}")
        elif key == "core.remote":
            sections["core"].append(f"remote = {value}")
    return "".join(f"[{name}]\n" + "".join(f"    {line}\n" for line in lines) for name, lines in sections.items())


def _pairs(settings: str) -> Iterator[tuple[str, str]]:
    for line in settings.splitlines():
        key, _, value = line.partition("=")
        yield key, value


def _kept(flags: Any) -> bool:
    return isinstance(flags, Mapping) and not flags.get("push", True)


def _push(root: Path, *options: str) -> None:
    if subprocess.run([*_DVC, "push", "-q", *options], cwd=root, check=False).returncode:
        remedy = "Name a remote that answers, by `make remote`."
        raise ImpastoError("DVC cannot push", where="DVC, whose message stands above", remedy=remedy)


def _ask(root: Path, *words: str) -> str:
    done = subprocess.run([*_DVC, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
