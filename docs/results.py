"""The tables of docs/results.md: every row of the paper, the preset that makes it, and what was measured here.

What was measured stands in ``metrics/siedel/NAME.json``, a copy of the ``metrics/evaluate.json`` of a run of that
preset; for point n of a sweep, counted from 0, in ``NAME.n.json``. Of Table 1 it is a copy of ``metrics/fid_row.json``,
of Table 7 one of ``metrics/time/train.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

from impasto.config.presets import Presets
from impasto.config.rows import LOGGED, Group, Row

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "metrics" / "siedel"
NOT_RUN = "not run: needs a GPU"
_SCORES = ("clean", "C", "C15", "C_bar")  # of an evaluation, in the order of LOGGED


def results(presets: Presets | None = None, measured: Path = MEASURED) -> str:
    """How many presets were run, then every table and figure as Markdown.

    Args:
        presets: with the groups of rows; None takes the repository's.
        measured: folder of the evaluations of runs, which may be missing.
    """
    presets = presets or Presets(ROOT / "presets")
    made = [name for name, row in presets.rows.items() if row.layers]
    run = sum(any(measured.glob(f"{name}{ending}.json")) for name in made for ending in ("", ".*"))
    parts = [f"**{run or 'None'} of these {len(made)} presets {'have' if run > 1 else 'has'} been run here.**\n"]
    for group in presets.groups.values():
        parts.append(f"## {group.title}\n" + (f"\n{group.about}\n" if group.about else ""))
        if single := {name: row for name, row in group.rows.items() if not row.sweep}:
            table = (
                _table(group, single, measured) if group.measured == "evaluate" else _plain(group, presets, measured)
            )
            parts.append(table)
        parts += [_curve(group, name, row, presets, measured) for name, row in group.rows.items() if row.sweep]
    return "\n".join(parts).rstrip("\n")


def _table(group: Group, rows: dict[str, Row], measured: Path) -> str:
    """One line for each row of a table."""
    logged, columns = " / ".join(LOGGED), " / ".join(group.columns)
    lines = [f"| preset | paper: {columns} | logged: {logged} | here: {logged} | |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        paper = " / ".join("–" if value is None else f"{value}" for value in row.paper)
        here = _here(measured / f"{name}.json") if row.layers else "no preset"
        lines.append(f"| {f'`{name}`' if row.layers else name} | {paper} | {_logged(row)} | {here} | {row.remark} |")
    return "\n".join(lines) + "\n"


def _plain(group: Group, presets: Presets, measured: Path) -> str:
    """One line for each row of a table of distances or times."""
    lines = [f"| preset | {' | '.join(group.columns)} | |", "|---|" + "---|" * (len(group.columns) + 1)]
    for name, row in group.rows.items():
        file = measured / f"{name}.json"
        values = _measured(group, name, presets, file) if file.exists() else [NOT_RUN, *[""] * (len(row.paper) - 1)]
        lines.append(f"| `{name}`: paper | {' | '.join(f'{value:g}' for value in row.paper)} | {row.remark} |")
        lines.append(f"| here | {' | '.join(values)} | |")
    return "\n".join(lines) + "\n"


def _measured(group: Group, name: str, presets: Presets, file: Path) -> list[str]:
    """A row of distances, or the seconds of one epoch of one seed."""
    found = json.loads(file.read_text(encoding="utf-8"))
    facts = found[0] if isinstance(found, list) else found
    if group.measured == "time":
        leaves = presets.compose([name]).leaves
        return [f"{facts['wall_seconds'] / leaves['train.epochs'] / len(leaves['seeds']):.1f}"]
    points = [facts["original"], *(facts[str(float(column))] for column in group.columns[1:])]
    return ["–" if value is None else f"{value:.2f}" for value in points]


def _logged(row: Row) -> str:
    """What the authors logged, as mean ± standard deviation."""
    if not row.std:
        return " / ".join(f"{mean:.2f}" for mean in row.mean) + (" (one run)" if row.mean else "")
    return " / ".join(f"{mean:.2f} ± {std:.2f}" for mean, std in zip(row.mean, row.std, strict=True))


def _curve(group: Group, name: str, row: Row, presets: Presets, measured: Path) -> str:
    """The points of a sweep from left to right where the paper's values are known; else what is swept."""
    points = list(presets.compose([name]).points())
    files = [measured / f"{name}.{number}.json" for number in range(len(points))]
    swept = " and ".join(f"`{leaf}`" for leaf in row.sweep)
    if not row.paper:
        values = " and ".join(f"`{leaf}` over {', '.join(map(str, values))}" for leaf, values in row.sweep.items())
        run = sum(file.exists() for file in files)
        return f"- `{name}`: {values}: {f'{run} of {len(files)} points run' if run else NOT_RUN}. {row.remark}\n"
    lines = [
        f"| `{name}`: {swept} | {' | '.join(str(*point.values()) for point in points)} |",
        "|---|" + "---|" * len(points),
    ]
    for column, values in zip(group.columns, row.paper, strict=True):
        assert isinstance(values, list)
        lines.append(f"| paper: {column} | {' | '.join(map(str, values))} |")
    cells = [_here(file) for file in files]
    if set(cells) == {NOT_RUN}:
        cells = [NOT_RUN, *[""] * (len(points) - 1)]
    lines.append(f"| here | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n" + (f"\n{row.remark}\n" if row.remark else "")


def _here(file: Path) -> str:
    """Mean ± standard deviation over the seeds of an evaluation in %, or that there is none."""
    if not file.exists():
        return NOT_RUN
    found = json.loads(file.read_text(encoding="utf-8"))
    scores = (found[0] if isinstance(found, list) else found)["base"]
    cells = []
    for name in _SCORES:
        mean, std = (scores[name][part] if scores.get(name) else None for part in ("mean", "std"))
        spread = f" ± {100 * std:.2f}" if std is not None else ""
        cells.append("–" if mean is None else f"{100 * mean:.2f}{spread}")
    return " / ".join(cells)
