"""The figures of a search: parallel coordinates, importance, and the schedules that a population has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.config.tune import Dimension, Search
from impasto.report.figures import Plot, Theme, both, panels
from impasto.tuning.importance import Importance, compared, place
from impasto.tuning.population import Schedules
from impasto.tuning.record import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = {"lambda": r"$\lambda$", "lambda_o": r"$\lambda_o$", "lambda_s": r"$\lambda_s$"}


def coordinates_plot(search: Search, trials: Sequence[Trial], best: Trial | None) -> Plot:
    """A line for each trial through its values and its objective, after the epochs that all have; the best one red."""
    shown = compared(trials)
    epochs = min(max(trial.measured) for trial in shown)
    scores = [trial.measured[epochs]["objective"] for trial in shown]
    axes_of = [_scaled([place(each, trial) for trial in shown]) for each in search.space]
    lines = np.array([*axes_of, _scaled(scores)]).T

    def draw(theme: Theme) -> Figure:
        figure, (axes,) = panels(theme, (2.6,))
        axes.grid(False)
        for trial, line, rank in zip(shown, lines, np.argsort(np.argsort(scores)), strict=True):
            chosen = best is not None and trial.number == best.number
            strength = 0.25 + 0.6 * (rank + 1) / len(shown)
            look: dict[str, Any] = {"color": theme.first, "linewidth": 2.2, "zorder": 3} if chosen else {}
            look = look or {"color": theme.second, "alpha": strength, "linewidth": 1.0}
            axes.plot(line, linestyle=":" if trial.status == "stopped" else "-", **look)
        names = [*(each.parameter for each in search.space), "objective"]
        axes.set(xticks=range(len(names)), ylim=(-0.12, 1.12), yticks=[])
        axes.set_xticklabels(names, fontsize=8)
        _ends(axes, search, shown, scores, theme)
        return figure

    return both(draw)


def importance_plot(found: Importance) -> Plot:
    """A bar for each leaf, the longest on top."""
    rows = sorted(found.lost.items(), key=lambda row: row[1])

    def draw(theme: Theme) -> Figure:
        figure, (axes,) = panels(theme, (0.35 * len(rows) + 0.5,))
        axes.grid(False)
        axes.barh([name for name, _ in rows], [value for _, value in rows], color=theme.second, height=0.6)
        axes.set_xlabel("share of the variance that is lost without it")
        return figure

    return both(draw)


def schedule_plot(schedules: Mapping[str, Any], epochs: int) -> Plot:
    """Shares over the epochs, as Figure 7 of Siedel et al. has them."""
    steps: Schedules = {leaf: value if isinstance(value, dict) else {0: value} for leaf, value in schedules.items()}

    def draw(theme: Theme) -> Figure:
        from matplotlib.ticker import MaxNLocator

        figure, (axes,) = panels(theme, (2.3,))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        looks = ((theme.first, "-"), (theme.second, "-"), (theme.ink, "--"))
        for (leaf, values), (colour, style) in zip(steps.items(), looks, strict=False):
            places = sorted(values)
            heights = [values[epoch] for epoch in places]
            axes.step([*places, epochs], [*heights, heights[-1]], where="post", color=colour, linestyle=style,
                      label=_NAMES.get(leaf, leaf), linewidth=1.5)  # fmt: skip
        axes.set(xlabel="epoch", ylabel="share", xlim=(0, epochs), ylim=(-0.03, 1.03))
        axes.legend(frameon=False, labelcolor=theme.ink, ncols=3)
        return figure

    return both(draw)


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]


def _ends(axes: Axes, search: Search, shown: Sequence[Trial], scores: Sequence[float], theme: Theme) -> None:
    """The least and the largest value that occur, below and above each axis."""
    ends = [_extremes(each, shown) for each in search.space]
    ends.append((f"{min(scores):.3f}", f"{max(scores):.3f}"))
    for number, (low, high) in enumerate(ends):
        axes.axvline(number, color=theme.rule, linewidth=0.8, zorder=0)
        for height, text, side in ((-0.04, low, "top"), (1.04, high, "bottom")):
            axes.annotate(text, (number, height), ha="center", va=side, fontsize=7, color=theme.muted)


def _extremes(each: Dimension, shown: Sequence[Trial]) -> tuple[str, str]:
    ordered = sorted(shown, key=lambda trial: place(each, trial))
    low, high = (trial.leaves[each.parameter] for trial in (ordered[0], ordered[-1]))
    return tuple(f"{v:.3g}" if isinstance(v, float) else str(v) for v in (low, high))  # type: ignore[return-value]
