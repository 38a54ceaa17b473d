"""Fail when a metric got worse by more than its tolerance."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.io import read_json
from impasto.stages.command import command

SUMMARY = Path("metrics/summary.json")
TOLERANCES = Path("metrics/tolerances.yaml")


class Change(NamedTuple):
    """One metric before and after; ``worse`` says by how much it got worse, in its own unit."""

    name: str
    before: float | None
    after: float | None
    worse: float
    tolerance: float

    @property
    def failed(self) -> bool:
        """Whether it got worse by more than its tolerance, vanished, or is not a number any more."""
        return not self.worse <= self.tolerance  # which no number is that is none


@command
def gate(
    base: Annotated[str, typer.Argument(help="The revision to compare with, e.g. origin/main.")],
    summary: Annotated[Path, typer.Option(help="The metrics of the working tree.")] = SUMMARY,
    tolerances: Annotated[Path, typer.Option(help="Tolerance and better direction of each metric.")] = TOLERANCES,
) -> None:
    """Compare metrics/summary.json with that of another revision; exit code 1 when one fell too far."""
    rules = _rules(tolerances)
    now, before = (_numbers(*each, rules) for each in ((read_json(summary), str(summary)), _at(base, summary)))
    changes = compare(before, now, rules)
    print(table(changes, base))
    if any(change.failed for change in changes):
        raise typer.Exit(1)


def compare(before: dict[str, float], after: dict[str, float], tolerances: dict[str, Any]) -> list[Change]:
    """Judge every metric that has a tolerance.

    Args:
        before: metrics of the base revision; a metric that it lacks cannot fail.
        after: metrics now.
        tolerances: for each metric ``better`` (higher, lower or same) and one of ``absolute`` and ``relative``.
    """
    found = []
    for name, rule in tolerances.items():
        old, new = before.get(name), after.get(name)
        tolerance = float(rule["absolute"] if "absolute" in rule else rule["relative"] * abs(old or 0))
        found.append(Change(name, old, new, _worse(old, new, rule["better"]), tolerance))
    return found


def table(changes: list[Change], base: str) -> str:
    """The comparison as a Markdown table."""
    rows = [f"| metric | {base} | now | change | tolerance | |", "|---|---|---|---|---|---|"]
    for change in changes:
        old, new = (f"{value:.4f}" if value is not None else "-" for value in (change.before, change.after))
        moved = (
            f"{change.after - change.before:+.4f}" if change.before is not None and change.after is not None else "-"
        )
        verdict = "**worse**" if change.failed else "ok"
        rows.append(f"| {change.name} | {old} | {new} | {moved} | {change.tolerance:.4f} | {verdict} |")
    return "\n".join(rows)


def _rules(path: Path) -> dict[str, Any]:
    rules = read_yaml(path)
    for name, rule in rules.items():
        right = isinstance(rule, dict) and rule.get("better") in {"higher", "lower", "same"}
        if not right or sum(isinstance(rule.get(kind), int | float) for kind in ("absolute", "relative")) != 1:
            remedy = "Give it `better` (higher, lower or same) and a number for `absolute` or `relative`."
            raise ImpastoError(f"the rule of {name} is incomplete", where=str(path), remedy=remedy)
    return rules


def _worse(old: float | None, new: float | None, better: str) -> float:
    if old is None:
        return 0.0
    if new is None:
        return float("inf")
    return {"higher": old - new, "lower": new - old, "same": abs(new - old)}[better]


def _numbers(found: Any, where: str, rules: dict[str, Any]) -> dict[str, float]:
    remedy = "Run `dvc repro`, or name the summary that it writes."
    if not isinstance(found, dict):
        raise ImpastoError(f"{where} holds no metrics by name", where=where, remedy=remedy)
    for name in rules:
        if not isinstance(found.get(name, 0), int | float):
            raise ImpastoError(f"{name} = {found[name]!r} in {where} is no number", where=where, remedy=remedy)
    return found


def _at(base: str, path: Path) -> tuple[Any, str]:
    """A JSON file at a revision, and how to call it."""
    done = subprocess.run(["git", "show", f"{base}:./{path.as_posix()}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImpastoError(
            f"{path} cannot be read at {base!r}: {done.stderr.strip()}",
            where="git",
            remedy="Name a revision that has it, and fetch it first.",
        )
    try:
        return json.loads(done.stdout), f"{base}:{path}"
    except ValueError as error:
        raise ImpastoError(f"{path} is no JSON at {base!r}", where="git", remedy="Name another revision.") from error
