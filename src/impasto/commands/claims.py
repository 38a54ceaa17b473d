"""Judge the paper's claims from committed runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.claims import closest, judge, needed
from impasto.errors import ImpastoError
from impasto.io import read_csv, read_json, write_json
from impasto.stages.command import command

RUNS = Path("metrics/claims_runs.json")
ABLATION = Path("metrics/ablation.json")
CURVE = Path("metrics/fid.csv")
OUT = Path("metrics/claims.json")
#: What a dataset is while nothing was run on it. No generator draws photographs after minutes on two cores.
UNRUN: dict[str, dict[str, Any]] = {
    name: {"seeds": [], "arms": {}, "curves": {}, "synthetic": synthetic}
    for name, synthetic in (("digits", True), ("cifar10-subset", False))
}
#: How runs were made, as far as it is known.
_FACTS = ("seeds", "n", "severities", "table", "hardware", "revision")
_FIELDS = {"seeds", "arms", "curves", "synthetic"}
_REMEDY = "Run `make claims`, which takes hours."


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


def measured(path: Path) -> dict[str, Any]:
    """The runs of `make claims` by dataset.

    Raises:
        ImpastoError: the file is missing, holds no runs, or a dataset in it lacks arms that the claims need.
    """
    if not path.exists():
        raise ImpastoError(f"{path} does not exist", where=str(path), remedy=_REMEDY)
    found = read_json(path)
    if not isinstance(found, dict) or not all(set(one) >= _FIELDS for one in found.values()):
        raise ImpastoError(f"{path} holds no runs by dataset", where=str(path), remedy=_REMEDY)
    for dataset, one in found.items():
        if lacking := [arm for arm in needed(one["synthetic"]) if arm not in one["arms"]]:
            told = f"{dataset} lacks the arms {', '.join(lacking)}"
            raise ImpastoError(told, where=str(path), remedy=_REMEDY)
    return found


def ablation(path: Path, curve: Path) -> dict[str, Any]:
    """The arms of `make ablation` and the curve of the default run, in the form of `make claims`.

    Raises:
        ImpastoError: one of the files is missing.
    """
    for each in (path, curve):
        if not each.exists():
            raise ImpastoError(f"neither {RUNS} nor {each} exists", where=str(RUNS), remedy=_REMEDY)
    found, points = read_json(path), read_csv(curve)
    one = {name: [float(point[name]) for point in points] for name in ("lambda_s", "distance")}
    arms = {arm: {"clean": row["clean_seeds"], "C": row["C_seeds"]} for arm, row in found["arms"].items()}
    return {**found, "arms": arms, "curves": {"0": one} if points else {}, "synthetic": True}


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
    among = f"least of {len(effects)}: " if len(effects) > 1 else ""
    lost = sum(one["interval"][1] < row["margin"] for one in effects.values())
    won = sum(one["interval"][0] > row["margin"] for one in effects.values())
    counted = f"; {won} above, {lost} below, {len(effects) - won - lost} open" if len(effects) > 1 else ""
    return among + shown(name, effects[name], row["unit"]) + counted


def shown(name: str, one: Mapping[str, Any], unit: str) -> str:
    """One effect with its interval: accuracies in points, of 100."""
    scale, digits = {"points": (100, 1), "rho": (1, 2), "distance": (1, 1)}[unit]
    mean, low, high = (f"{scale * value:+.{digits}f}" for value in (one["mean"], *one["interval"]))
    return f"{name}: {mean} [{low}, {high}] at {100 * one['level']:.4g} %"


def _origin(path: Path | None) -> str:
    return path.as_posix() if path else f"{ABLATION.as_posix()} and {CURVE.as_posix()}"
