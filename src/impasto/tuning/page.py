"""The page of a search: one HTML file that holds its pictures, and these as PNG files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from impasto.config.base import is_schedule
from impasto.config.tune import SHARES, Tune
from impasto.io import atomic, write_text
from impasto.report import page as report
from impasto.report.figures import Plot
from impasto.tuning.figures import coordinates_plot, importance_plot, schedule_plot
from impasto.tuning.importance import LEAST, Importance, compared, importance
from impasto.tuning.record import Trial
from impasto.tuning.results import PARTS, Done, best_of, leaves_of, text
from impasto.tuning.space import short

SHOWN = 30  # trials in the table of a search, the best ones


class Part(NamedTuple):
    """A search on the page."""

    title: str
    trials: Sequence[Trial]
    best: Trial | None
    counts: str
    epochs: int
    plots: dict[str, Plot]
    importance: Importance | None


def write_page(out: Path, tune: Tune, done: Sequence[Done]) -> list[Path]:
    """Write ``report.html`` and a PNG file for each figure into a folder.

    Returns:
        The files.
    """
    parts = [_part(number, one) for number, one in enumerate(done, start=1)]
    files = [out / "report.html"]
    write_text(files[0], _render(tune, done, parts))
    for number, part in enumerate(parts, start=1):
        for name, plot in part.plots.items():
            files.append(out / f"{number}-{name}.png")
            with atomic(files[-1]) as whole:
                whole.write_bytes(plot.light)
    return files


def _render(tune: Tune, done: Sequence[Done], parts: Sequence[Part]) -> str:
    folders = [Path(__file__).parent, Path(report.__file__).parent]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"uri": report.data_uri, "text": _shown}
    best, trial = best_of(done)
    values: dict[str, Any] = {"parts": parts, "tune": tune, "trial": trial, "names": PARTS, "least": LEAST}
    values |= {"leaves": leaves_of(best, trial, tune.epochs), "count": sum(len(one.trials) for one in done)}
    return environment.get_template("search.html.j2").render(**values)


def _shown(value: Any) -> str:
    return short(value) if isinstance(value, float) else text(value)


def _part(number: int, one: Done) -> Part:
    best = one.best()
    found = importance(one.search, one.trials) if one.search.method != "pbt" else None
    kinds = [trial.status for trial in one.trials]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    ranked = sorted(one.trials, key=lambda trial: (trial.status == "finished", trial.score), reverse=True)
    epochs = min((max(trial.measured) for trial in compared(one.trials)), default=0)
    return Part(
        f"{number}. {one.search.method}", ranked[:SHOWN], best, counts, epochs, dict(_plots(one, best, found)), found
    )


def _plots(one: Done, best: Trial | None, found: Importance | None) -> Iterator[tuple[str, Plot]]:
    if one.search.method == "pbt":
        if best:
            yield (
                "schedule",
                schedule_plot({leaf: best.leaves[leaf] for leaf in SHARES if leaf in best.leaves}, best.epochs),
            )
        return
    if compared(one.trials) and not any(is_schedule(value) for trial in one.trials for value in trial.leaves.values()):
        yield "coordinates", coordinates_plot(one.search, one.trials, best)
    if found and found.explained > 0:
        yield "importance", importance_plot(found)
