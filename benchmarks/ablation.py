"""Run the arms of the ablation as DVC experiments and tabulate them: `make ablation`.

Every arm is queued as an experiment named `digits-ARM-5-seeds`; two workers run the queue. Arms that an earlier
call, or `make claims`, finished on the same commit are not run again; ABLATION_BASE names another commit. The table
goes to metrics/ablation.json and metrics/ablation.csv; `make docs` puts it into the README.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from experiments import base, hardware, options, parameters, protocol, read, run, title
from impasto.comparisons import paired
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
    names = {arm: title("digits", arm, SEEDS) for arm in ARMS}
    found = run({names[arm]: settings(arm) for arm in ARMS}, base("ABLATION_BASE"), WORKERS)
    write({arm: found[name] for arm, name in names.items()})


def settings(arm: str) -> list[str]:
    """The options of an arm: its preset and the protocol."""
    return options(read_overlay(Path("presets") / f"arm-{arm}.yaml") | protocol(SEEDS))


def write(revisions: dict[str, str]) -> None:
    """The table of arms and the paired differences."""
    scores = {arm: read(revisions[arm], "metrics/evaluate.json") for arm in ARMS}
    costs = {arm: read(revisions[arm], "metrics/time/train.json") for arm in ARMS}
    by_arm = {arm: arm_row(scores[arm]["base"], costs[arm]["cpu_seconds"]) for arm in ARMS}
    pairs = [difference(scores, arm, reference) for arm, reference in PAIRS]
    facts = {
        "n": scores["baseline"]["n"],
        "seeds": list(SEEDS),
        "corruptions": scores["baseline"]["sets"]["C"],
        "severities": scores["baseline"]["severities"],
        "table": parameters(revisions["baseline"])["evaluate"]["table"],
        "revision": base("ABLATION_BASE"),
        "hardware": hardware(costs["baseline"]),
    }
    write_json(Path("metrics/ablation.json"), facts | {"arms": by_arm, "pairs": pairs})
    write_csv(
        Path("metrics/ablation.csv"), COLUMNS, [{"arm": a} | {k: r[k] for k in COLUMNS[1:]} for a, r in by_arm.items()]
    )


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
        ours, theirs = ([one[name] for one in scores[each]["base"]["seeds"].values()] for each in (arm, reference))
        found = over_seeds(paired(ours, theirs))
        row[name] = {"mean": found.mean, "interval": found.interval and list(found.interval)}
    return row


if __name__ == "__main__":
    main()
