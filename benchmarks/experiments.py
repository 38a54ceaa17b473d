"""Runs of the pipeline as DVC experiments, queued, on two workers: what the ablation and the claims share.

Experiments that an earlier call finished on the same commit are not run again.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from impasto.commands.preset import overrides


def run(wanted: Mapping[str, list[str]], head: str, workers: str) -> dict[str, str]:
    """Queue what is missing, run it, and return the revision of each experiment by name; ends where one has none.

    Args:
        wanted: name of an experiment -> its options.
        head: the commit on which they stand.
        workers: how many run at a time.
    """
    waiting = status()
    missing = [name for name in wanted if name not in finished(head)]
    for name in missing:
        if not re.search(rf"\b{name}\s.*(Queued|Running)", waiting):
            dvc("exp", "run", "--queue", "-n", name, *wanted[name])
    if missing:
        wait(workers)
    found = finished(head)
    if missing := [name for name in wanted if name not in found]:
        sys.exit(f"error: no result for {', '.join(missing)}; `dvc queue logs {missing[0]}` tells why")
    return found


def title(dataset: str, arm: str, seeds: Sequence[int]) -> str:
    """The name of an arm's experiment, the same for all who ask for it."""
    return f"{dataset}-{arm}-{len(seeds)}-seeds"


def protocol(seeds: Iterable[int]) -> dict[str, Any]:
    """All seeds, without fine-tuning, which would blur an arm.

    ImageNet-C's severities, three of them: on digits CIFAR-C's are so mild that every arm is near its clean accuracy.
    """
    return {
        "seeds": list(seeds),
        "finetune.stages": [],
        "evaluate.severities": [1, 3, 5],
        "evaluate.table": "imagenet",
        "evaluate.bootstrap": 100,
    }


def options(leaves: Mapping[str, Any]) -> list[str]:
    """Leaves of the parameters as options -S of `dvc exp run`."""
    return [word for leaf in overrides(leaves) for word in ("-S", leaf)]


def dvc(*arguments: str) -> str:
    """Run DVC; its errors are shown and end the program."""
    return subprocess.run(["dvc", *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def base(variable: str) -> str:
    """The commit that an environment variable names, by default the current one."""
    return _git("rev-parse", os.environ.get(variable, "HEAD")).strip()


def finished(head: str) -> dict[str, str]:
    """Name -> revision of every finished experiment of a commit."""
    listed = _git("for-each-ref", "--format=%(refname) %(objectname)", f"refs/exps/{head[:2]}/{head[2:]}")
    return {ref.rsplit("/", 1)[-1]: revision for ref, revision in (line.split() for line in listed.splitlines())}


def wait(workers: str, poll: float = 60.0) -> None:
    """Keep the workers at work until the queue holds neither a waiting nor a running task.

    A worker that reads a message of DVC's broker before it is wholly written ends, and asking for the status writes
    messages: ask seldom, and replace a worker that is gone.
    """
    while any(state in (told := status()) for state in ("Running", "Queued")):
        if "Queued" in told and _workers(told) < int(workers):
            dvc("queue", "start", "-j", workers)
        time.sleep(poll)


def status() -> str:
    """What DVC says of its queue, less what a killed worker left as running: that would be waited for for ever."""
    told = dvc("queue", "status")
    running = [] if _workers(told) else re.findall(r"^(\w+) .*Running *$", told, re.MULTILINE)
    left = [task for task in running if not _lives(task)]
    for task in left:
        dvc("queue", "kill", "--force", task)
    return dvc("queue", "status") if left else told


def _workers(told: str) -> int:
    return sum(map(int, re.findall(r"(\d+) (?:active|idle)", told)))


def _lives(task: str) -> bool:
    """Whether the process of a task is there; a busy worker may not have answered for it."""
    for file in Path(".dvc/tmp/exps/run").glob(f"{task}*/*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), 0)  # sends nothing
            return True
    return False


def read(revision: str, path: str) -> Any:
    """A record of an experiment (see :func:`impasto.io.write_record`)."""
    return json.loads(shown(revision, path))[0]


def shown(revision: str, path: str) -> str:
    """A file as it is in an experiment's commit."""
    return _git("show", f"{revision}:{path}")


def parameters(revision: str) -> Any:
    """The parameters of an experiment."""
    return YAML(typ="safe", pure=True).load(shown(revision, "params.yaml"))


def hardware(cost: Mapping[str, Any]) -> str:
    """On what an experiment ran.

    Args:
        cost: its metrics/time/train.json.
    """
    return f"{cost['cores']} cores ({processor()}), {cost['threads']} thread(s) an arm, {cost['device']}"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout
