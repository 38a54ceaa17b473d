"""The tables of docs/claims.md, from metrics/claims.json, which `impasto claims` writes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from impasto.commands.claims import shown, table
from impasto.verdict import REFUTED, SUPPORTED, UNDECIDED

JUDGED = Path(__file__).resolve().parents[1] / "metrics" / "claims.json"


def claims(judged: Path = JUDGED) -> str:
    """How many claims have which verdict, the verdicts, and every effect behind them as Markdown.

    Args:
        judged: what `impasto claims` wrote, which may be missing.
    """
    if not judged.exists():
        return "**Not judged yet**: `make claims` runs what is needed, `impasto claims` judges it."
    found = json.loads(judged.read_text(encoding="utf-8"))
    rows = found["claims"]
    unmeasured = sum(bool(row["missing"]) for row in rows)
    head = f"{summary(rows)}, {unmeasured} of these for want of runs or of synthetic images. Runs: {found['origin']}."
    return "\n\n".join([head, table(rows), *effects(rows), *(made(*each) for each in found["facts"].items())])


def summary(rows: list[dict[str, Any]]) -> str:
    """How many claims have which verdict."""
    counts = Counter(row["verdict"] for row in rows)
    return "**" + ", ".join(f"{counts[each]} {each}" for each in (SUPPORTED, REFUTED, UNDECIDED)) + "**"


def made(dataset: str, facts: dict[str, Any]) -> str:
    """How the runs of a dataset were made."""
    severities = ", ".join(map(str, facts["severities"]))
    return (
        f"{dataset}: {len(facts['seeds'])} seeds, {facts['n']:,} test images, severities {severities}; "
        f"{facts['hardware']}, revision {facts['revision'][:7]}."
    )


def effects(rows: list[dict[str, Any]]) -> list[str]:
    """A table of all effects of the claims that have several; none where no claim has."""
    lines = [
        f"| {row['dataset']} | {row['claim']} | {shown(name, one, row['unit'])} |"
        for row in rows
        if len(row["effects"]) > 1
        for name, one in row["effects"].items()
    ]
    return ["\n".join(["| dataset | claim | each effect |", "|---|---|---|", *lines])] if lines else []
