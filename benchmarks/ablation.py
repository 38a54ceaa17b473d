"""Run the arms of the ablation as DVC experiments and tabulate them: `make ablation`.

Every arm is queued as an experiment named `ablation-ARM`; two workers run the queue. Arms that an earlier call
finished on the same commit are not run again; ABLATION_BASE names another commit. The table goes to
metrics/ablation.json and metrics/ablation.csv; `make docs` puts it into the README.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from impasto.commands.preset import overrides
from impasto.config.presets import read_overlay
from impasto.io import write_csv, write_json
from impasto.metrics import over_seeds

ARMS = (
    "baseline", "ta", "nst", "nst-ta", "syn", "syn-ta", "syn-nst", "syn-nst-ta", "colour-ta", "syn-quarter",
    "syn-nst-ta-quarter",
)  # fmt: skip
#: (arm, reference): differences that answer a question, paired by seed.
PAIRS = (
    ("ta", "baseline"), ("nst", "baseline"), ("syn", "baseline"), ("nst-ta", "ta"), ("syn-ta", "ta"),
    ("syn-nst", "nst"), ("syn-nst-ta", "nst-ta"), ("syn-nst-ta", "ta"), ("nst-ta", "colour-ta"), ("colour-ta", "ta"),
    ("nst-ta", "nst"), ("syn-quarter", "baseline"), ("syn-nst-ta-quarter", "nst-ta"),
)  # fmt: skip
SEEDS = range(int(os.environ.get("ABLATION_SEEDS", "5")))
WORKERS = os.environ.get("ABLATION_WORKERS", "2")
COLUMNS = ("arm", "clean", "clean_std", "C", "C_std", "core_minutes")


def main() -> None:
    """Queue what is missing, run it, and write the table."""
    waiting = dvc("queue", "status")
    missing = [arm for arm in ARMS if f"ablation-{arm}" not in finished()]
    for arm in missing:
        if not re.search(rf"\bablation-{arm}\s.*(Queued|Running)", waiting):
            dvc("exp", "run", "--queue", "-n", f"ablation-{arm}", *settings(arm))
    if missing:
        wait()
    if missing := [arm for arm in ARMS if f"ablation-{arm}" not in finished()]:
        sys.exit(f"error: no result for {', '.join(missing)}; `dvc queue logs ablation-{missing[0]}` tells why")
    write(finished())


def settings(arm: str) -> list[str]:
    """The -S options of an arm: its preset and all seeds, without fine-tuning, which would blur the arm.

    ImageNet-C's severities, three of them: on digits CIFAR-C's are so mild that every arm is near its clean accuracy.
    """
    seeds = "[" + ",".join(map(str, SEEDS)) + "]"
    leaves = [*overrides(read_overlay(Path("presets") / f"arm-{arm}.yaml")), f"seeds={seeds}", "finetune.stages=[]"]
    leaves += ["evaluate.severities=[1,3,5]", "evaluate.table=imagenet", "evaluate.bootstrap=100"]
    return [word for leaf in leaves for word in ("-S", leaf)]


def dvc(*arguments: str) -> str:
    """Run DVC; its errors are shown and end the program."""
    return subprocess.run(["dvc", *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def finished() -> dict[str, str]:
    """Name -> revision of every finished experiment of the commit ABLATION_BASE, by default the current one."""
    head = base()
    listed = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname) %(objectname)", f"refs/exps/{head[:2]}/{head[2:]}"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    return {ref.rsplit("/", 1)[-1]: revision for ref, revision in (line.split() for line in listed.splitlines())}


def base() -> str:
    """The commit on which the arms stand."""
    name = os.environ.get("ABLATION_BASE", "HEAD")
    return subprocess.run(["git", "rev-parse", name], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def wait(poll: float = 60.0) -> None:
    """Keep the workers at work until the queue holds neither a waiting nor a running task.

    A worker that reads a message of DVC's broker before it is wholly written ends, and asking for the status writes
    messages: ask seldom, and replace a worker that is gone.
    """
    while any(state in (status := dvc("queue", "status")) for state in ("Running", "Queued")):
        if "Queued" in status and sum(map(int, re.findall(r"(\d+) (?:active|idle)", status))) < int(WORKERS):
            dvc("queue", "start", "-j", WORKERS)
        time.sleep(poll)


def read(revision: str, path: str) -> Any:
    """A record of an experiment (see :func:`impasto.io.write_record`)."""
    return json.loads(shown(revision, path))[0]


def shown(revision: str, path: str) -> str:
    """A file as it is in an experiment's commit."""
    command = ["git", "show", f"{revision}:{path}"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def write(revisions: dict[str, str]) -> None:
    """The table of arms and the paired differences."""
    scores = {arm: read(revisions[f"ablation-{arm}"], "metrics/evaluate.json") for arm in ARMS}
    costs = {arm: read(revisions[f"ablation-{arm}"], "metrics/time/train.json") for arm in ARMS}
    by_arm = {arm: arm_row(scores[arm]["base"], costs[arm]["cpu_seconds"]) for arm in ARMS}
    cost = costs["baseline"]
    pairs = [difference(scores, arm, reference) for arm, reference in PAIRS]
    facts = {
        "n": scores["baseline"]["n"],
        "seeds": list(SEEDS),
        "corruptions": scores["baseline"]["sets"]["C"],
        "severities": scores["baseline"]["severities"],
        "table": settings_of(revisions["ablation-baseline"])["table"],
        "revision": base(),
        "hardware": f"{cost['cores']} cores ({processor()}), {cost['threads']} thread(s) an arm, {cost['device']}",
    }
    write_json(Path("metrics/ablation.json"), facts | {"arms": by_arm, "pairs": pairs})
    write_csv(
        Path("metrics/ablation.csv"), COLUMNS, [{"arm": a} | {k: r[k] for k in COLUMNS[1:]} for a, r in by_arm.items()]
    )


def settings_of(revision: str) -> Any:
    """The section ``evaluate`` of an experiment's parameters."""
    return YAML(typ="safe", pure=True).load(shown(revision, "params.yaml"))["evaluate"]


def arm_row(base: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Mean and spread over seeds, and core-minutes of training per seed, which other work on the cores hardly moves."""
    row = {"core_minutes": round(seconds / 60 / len(base["seeds"]), 2)}
    for name in ("clean", "C"):
        row |= {name: base[name]["mean"], f"{name}_std": base[name]["std"]}
        row[f"{name}_seeds"] = [one[name] for one in base["seeds"].values()]
    return row


def difference(scores: dict[str, Any], arm: str, reference: str) -> dict[str, Any]:
    """Mean difference of two arms with its 95 % interval, paired by seed (Student t)."""
    row: dict[str, Any] = {"arm": arm, "reference": reference}
    for name in ("clean", "C"):
        gains = [
            scores[arm]["base"]["seeds"][seed][name] - scores[reference]["base"]["seeds"][seed][name]
            for seed in scores[arm]["base"]["seeds"]
        ]
        found = over_seeds(gains)
        row[name] = {"mean": float(np.mean(gains)), "interval": found.interval and list(found.interval)}
    return row


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
