"""The figures: curves as PNG on a transparent ground, once in ink for paper and once for dark screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from impasto.fid.curve import FrechetCurve
from impasto.report.data import Curve, Score
from impasto.report.summary import distance_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.6  # inches: small, so that the letters can still be read at the width of a phone
DPI = 200


@dataclass(frozen=True)
class Theme:
    """Colours of ink; the same as in report.css."""

    ink: str
    muted: str
    rule: str
    first: str
    second: str


LIGHT = Theme(ink="#26231f", muted="#756e64", rule="#ddd6ca", first="#b8482e", second="#2f6690")
DARK = Theme(ink="#ece7df", muted="#a59d91", rule="#3c3934", first="#f08a6b", second="#7db4dc")


class Plot(NamedTuple):
    """One figure as PNG files."""

    light: bytes
    dark: bytes


class Mark(NamedTuple):
    """Where a run is on the Fréchet curve: its lambda_s and the accuracy that it reached there."""

    lambda_s: float
    clean: Score
    corrupted: Score
    others: tuple[tuple[float, float, float], ...] = ()  # lambda_s, clean, corrupted of runs that differ in it alone


def frechet_plot(curve: FrechetCurve, mark: Mark | None) -> Plot:
    """The Fréchet distance over lambda_s and the accuracy, of this run and of others; None marks nothing."""

    def draw(theme: Theme) -> Figure:
        figure, axes = panels(theme, (2.0, 1.3) if mark else (2.0,))
        axes[0].plot(curve.points, curve.values, color=theme.ink, marker="o", markersize=3.2, linewidth=1.4)
        axes[0].set(ylabel="Fréchet distance", xlim=(-0.04, 1.04), ylim=(0, 1.08 * max(curve.values)))
        axes[-1].set_xlabel(r"$\lambda_s$, share of synthetic images that are stylised")
        if mark:
            _mark_distance(axes[0], curve, mark.lambda_s, theme)
            _other_accuracies(axes[1], mark, theme)
            _mark_accuracy(axes[1], mark, theme)
        return figure

    return both(draw)


def training_plots(base: Curve, tuned: Curve) -> dict[str, Plot]:
    """Loss and validation accuracy over the epochs, unfreezing included on a shaded ground."""

    def loss(theme: Theme) -> Figure:
        figure, (axes,) = panels(theme, (2.5,))
        _lines(axes, base, tuned, "loss", theme.second, "training images")
        _lines(axes, base, tuned, "validation_loss", theme.first, "validation images")
        axes.set_ylabel("cross-entropy")
        return _finish(figure, axes, base, tuned, theme)

    def accuracy(theme: Theme) -> Figure:
        figure, (axes,) = panels(theme, (2.5,))
        _lines(axes, base, tuned, "validation_accuracy", theme.first, "validation images", scale=100)
        axes.set_ylabel("accuracy, %")
        return _finish(figure, axes, base, tuned, theme)

    return {"loss": both(loss), "accuracy": both(accuracy)}


def _mark_distance(axes: Axes, curve: FrechetCurve, lambda_s: float, theme: Theme) -> None:
    distance = distance_at(curve, lambda_s)
    axes.plot([lambda_s], [distance], marker="o", markersize=8, color=theme.first)
    side = 1 if lambda_s < 0.5 else -1
    axes.annotate(
        f"this run: {distance:.4g}",
        (lambda_s, distance),
        xytext=(10 * side, -8 * side),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="top" if side > 0 else "bottom",
        color=theme.first,
        weight="bold",
    )


def _other_accuracies(axes: Axes, mark: Mark, theme: Theme) -> None:
    """A thin line through all runs; the others' points are hollow and have no interval."""
    own = (mark.lambda_s, mark.clean.value, mark.corrupted.value)
    places, *scores = zip(*sorted((*mark.others, own)), strict=True)
    for score, colour, shape in zip(scores, (theme.second, theme.first), ("s", "o"), strict=True):
        line = axes.plot(places, [100 * value for value in score], color=colour, linewidth=0.8)[0]
        line.set(marker=shape, markersize=4, markerfacecolor="none")


def _mark_accuracy(axes: Axes, mark: Mark, theme: Theme) -> None:
    for score, name, colour, shape in (
        (mark.clean, "clean", theme.second, "s"),
        (mark.corrupted, "corrupted (C)", theme.first, "o"),
    ):
        value, interval = 100 * score.value, score.interval
        error = np.array([[value - 100 * interval[0]], [100 * interval[1] - value]]) if interval else None
        axes.errorbar([mark.lambda_s], [value], yerr=error, fmt=shape, color=colour, markersize=5, capsize=3)
        left = mark.lambda_s > 0.5
        axes.annotate(
            f"{name} {value:.1f}",
            (mark.lambda_s, value),
            xytext=(-10 if left else 10, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=colour,
        )
    axes.set(ylabel="accuracy, %")
    axes.margins(y=0.35)


def _lines(axes: Axes, base: Curve, tuned: Curve, name: str, colour: str, label: str, scale: float = 1) -> None:
    """A thin line per seed and, if there are several, their mean on top."""
    runs = [[scale * row[name] for row in [*rows, *tuned.get(seed, [])]] for seed, rows in base.items()]
    epochs = np.arange(1, len(runs[0]) + 1)
    several = len(runs) > 1
    for run in runs if several else []:
        axes.plot(epochs, run, color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(epochs, np.mean(runs, axis=0), color=colour, linewidth=1.6, label=label)


def _finish(figure: Figure, axes: Axes, base: Curve, tuned: Curve, theme: Theme) -> Figure:
    from matplotlib.ticker import MaxNLocator

    epochs = len(next(iter(base.values())))
    extra = len(next(iter(tuned.values()), []))
    if extra:
        axes.axvspan(epochs + 0.5, epochs + extra + 0.5, color=theme.rule, alpha=0.55, linewidth=0, label="unfreezing")
    axes.set(xlabel="epoch", xlim=(0.5, epochs + extra + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, labelcolor=theme.ink, handlelength=1.4)
    return figure


def panels(theme: Theme, heights: tuple[float, ...]) -> tuple[Figure, list[Axes]]:
    """A figure with panels of these heights (inches) below each other, which share their horizontal axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, sum(heights) + 0.6), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    axes: list[Axes] = []
    for row in range(len(heights)):
        panel = figure.add_subplot(grid[row], sharex=axes[0] if axes else None)
        panel.grid(axis="y", color=theme.rule, linewidth=0.7)
        panel.set_axisbelow(True)
        panel.tick_params(length=0, colors=theme.muted, labelbottom=row == len(heights) - 1)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        panel.spines["bottom"].set_color(theme.muted)
        axes.append(panel)
    return figure, axes


def both(draw: Callable[[Theme], Figure]) -> Plot:
    """A figure drawn in both themes."""
    return Plot(_png(draw, LIGHT), _png(draw, DARK))


def _png(draw: Callable[[Theme], Figure], theme: Theme) -> bytes:
    from matplotlib import style

    file = BytesIO()
    with style.context(["default", {"font.family": "DejaVu Sans", "font.size": 9, "axes.labelcolor": theme.ink}]):
        draw(theme).savefig(file, format="png", dpi=DPI, transparent=True, metadata={"Software": None})
    return file.getvalue()
