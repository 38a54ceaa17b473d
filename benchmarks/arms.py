"""What the experiments of some arms say: scores with their spread over seeds, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments import hardware, parameters, read
from impasto.comparisons import paired
from impasto.metrics import over_seeds


def tabulate(revisions: Mapping[str, str], pairs: Iterable[tuple[str, str]], head: str) -> dict[str, Any]:
    """The table of some arms, and the facts it stands on.

    Args:
        revisions: arm -> revision of its experiment.
        pairs: (arm, reference), the differences that answer a question.
        head: the commit on which the experiments stand.
    """
    scores = {arm: read(revision, "metrics/evaluate.json") for arm, revision in revisions.items()}
    costs = {arm: read(revision, "metrics/time/train.json") for arm, revision in revisions.items()}
    first, one = next(iter(revisions.items()))
    return {
        "n": scores[first]["n"],
        "seeds": [int(seed) for seed in scores[first]["base"]["seeds"]],
        "corruptions": scores[first]["sets"]["C"],
        "severities": scores[first]["severities"],
        "table": parameters(one)["evaluate"]["table"],
        "revision": head,
        "hardware": hardware(costs[first]),
        "arms": {arm: arm_row(scores[arm]["base"], costs[arm]["cpu_seconds"]) for arm in revisions},
        "pairs": [difference(scores, arm, reference) for arm, reference in pairs],
    }


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
