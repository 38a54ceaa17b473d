"""Judge the paper's claims from committed runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.claim_runs import ABLATION, CURVE, DATASETS, RUNS, ablation, measured
from impasto.claims import judge
from impasto.io import write_json
from impasto.stages.command import command
from impasto.verdict import closest

OUT = Path("metrics/claims.json")
#: What a dataset is while nothing was run on it. No generator draws photographs after minutes on two cores.
UNRUN: dict[str, dict[str, Any]] = {
    name: {"seeds": [], "arms": {}, "curves": {}, "synthetic": synthetic}
    for name, synthetic in zip(DATASETS, (True, False), strict=True)
}
#: How runs were made, as far as it is known.
_FACTS = ("seeds", "n", "severities", "table", "hardware", "revision")


@command
def claims(
    runs: Annotated[
        Path | None, typer.Option(help=f"What `make claims` ran.  [default: {RUNS}, else the ablation]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the verdicts go.")] = OUT,
) -> None:
    """Say of each claim whether it is supported, refuted or undecided at this scale, with numbers."""
    path = runs or (RUNS if RUNS.exists() else None)
    found = measured(path) if path else {"digits": ablation(ABLATION, CURVE)}
    rows = [row for dataset, one in (UNRUN | found).items() for row in judge(dataset, one)]
    facts = {dataset: {name: one[name] for name in _FACTS if name in one} for dataset, one in found.items()}
    write_json(out, {"origin": _origin(path), "facts": facts, "claims": rows})
    print(table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Verdicts as a Markdown table, with the effect that decides."""
    lines = ["| dataset | claim | verdict | effect |", "|---|---|---|---|"]
    lines += [f"| {row['dataset']} | {row['text']} | **{row['verdict']}** | {sentence(row)} |" for row in rows]
    return "\n".join(lines)


def sentence(row: Mapping[str, Any]) -> str:
    """The effect of a row that decides, in words, or what is missing."""
    if row["missing"]:
        return str(row["missing"])
    effects = row["effects"]
    name = closest(effects)
    among = f"decisive of {len(effects)}: " if len(effects) > 1 else ""
    won, lost, left = ([one["side"] for one in effects.values()].count(side) for side in (1, -1, 0))
    counted = f"; {won} above, {lost} below, {left} open" if len(effects) > 1 else ""
    return among + shown(name, effects[name], row["unit"]) + counted


def shown(name: str, one: Mapping[str, Any], unit: str) -> str:
    """One effect with its interval, and Holm's where there are several; accuracies in points, of 100."""
    scale, digits = {"points": (100, 1), "rho": (1, 2), "distance": (1, 1)}[unit]
    told = f"{name}: {scale * one['mean']:+.{digits}f}"
    for prefix, each in (("", one), (", Holm's ", one["holm"])):
        if each:
            low, high = (f"{scale * value:+.{digits}f}" for value in each["interval"])
            told += f"{prefix or ' '}[{low}, {high}] at {100 * each['level']:.4g} %"
    return told


def _origin(path: Path | None) -> str:
    return path.as_posix() if path else f"{ABLATION.as_posix()} and {CURVE.as_posix()}"
