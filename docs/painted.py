"""The tables of docs/paintings.md, from metrics/paintings.json, which `make paintings` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from verdicts import effects, summary
from words import ROOT, percent

from impasto.commands.claims import table

MEASURED = ROOT / "metrics" / "paintings.json"
COLUMNS = {
    "clean": "accuracy", "balanced": "balanced", "majority": "majority", "minority": "minority", "C": "C",
}  # fmt: skip
LABELS = {
    "originals": "originals alone", "duplicates": "copies: duplicates", "rules": "copies: TrivialAugment",
    "reconstruction": "copies: AdaIN at alpha 0", "class": "copies: styles of the class",
    "any": "copies: styles of any class", "external": "copies: procedural styles",
    "once": "unfreezing: copies drawn once", "redrawn": "unfreezing: drawn anew at each stage",
    "hardest": "unfreezing: the hardest at each stage",
}  # fmt: skip


def paintings(measured: Path = MEASURED) -> str:
    """Verdicts, scores of all arms and how they were made; that nothing was run, where the file is missing."""
    if not measured.exists():
        return "**Not run yet**: `make paintings` runs and judges it."
    found = json.loads(measured.read_text(encoding="utf-8"))
    parts = [summary(found["claims"]), table(found["claims"]), *effects(found["claims"]), arms(found["arms"])]
    return "\n\n".join([*parts, made(found)])


def arms(rows: dict[str, Any]) -> str:
    """One line for each arm."""
    lines = [f"| arm | {' | '.join(COLUMNS.values())} | core-minutes |", "|---" * (len(COLUMNS) + 2) + "|"]
    for arm, row in rows.items():
        cells = [f"{percent(row[name])} ± {percent(row[f'{name}_std'])}" for name in COLUMNS]
        lines.append(f"| {label(arm)} | {' | '.join(cells)} | {row['core_minutes']} |")
    return "\n".join(lines)


def label(arm: str) -> str:
    """An arm in words."""
    kind, _, name = arm.partition("-")
    if kind == "attention":
        return f"styles of the class; attention: `{name}`"
    if arm not in LABELS:  # a cell of the grid
        return f"p1 = {int(kind[1:]) / 100:g}, p2 = {int(name) / 100:g}"
    return LABELS[arm]


def made(found: dict[str, Any]) -> str:
    """How the arms were run and what their numbers are."""
    return (
        f"In %, mean ± standard deviation over {len(found['seeds'])} seeds, {found['n']:,} test images of "
        f"{found['size']} px in {len(found['classes'])} classes, whose training split was thinned out to "
        f"{found['imbalance']:g} : 1; minority and majority: mean recall of the classes with fewer and with more "
        "images than the mean class of the test split. C: accuracy over "
        f"{len(found['corruptions'])} corruptions at severity {', '.join(map(str, found['severities']))} of "
        f"ImageNet-C. Core-minutes: training and evaluation of all seeds. {found['hardware']}, revision "
        f"{found['revision'][:7]}."
    )
